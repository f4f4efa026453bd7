"""The app as a process of its own, as README starts it."""

import os
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from helpers import ROOT, wait_for


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def app(tmp: Path, *arguments: str, port: int | None = None, **environment: str):
    """Run app.py; gives (url, log file) once the page answers. Without `HF_ENDPOINT` it asks no network."""
    with started(tmp, *arguments, port=port, **environment) as (_, url, log):
        yield url, log


@contextmanager
def started(
    tmp: Path,
    *arguments: str,
    program: str = "app.py",
    port: int | None = None,
    root: Path = ROOT,
    python: str | Path = sys.executable,
    **environment: str,
):
    """As `app`, or of another program or folder that takes its arguments; gives (process, url, log file)."""
    port = port or free_port()
    log = tmp / "app.log"
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith(("ABN_", "IMAGENETTE_"))}
    surroundings |= {"HF_HOME": str(tmp / "home"), "GRADIO_TEMP_DIR": str(tmp / "gradio")}
    surroundings |= environment if "HF_ENDPOINT" in environment else {"HF_HUB_OFFLINE": "1", **environment}
    with log.open("w") as out:
        process = subprocess.Popen(
            [python, program, "--port", str(port), *arguments],
            cwd=root,
            env=surroundings,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, log)
        yield process, url, log
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def _wait(url: str, process: subprocess.Popen, log: Path) -> None:
    try:
        wait_for(lambda: process.poll() is not None or answers(url), 300, every=0.1)
        assert process.poll() is None
    except AssertionError as late:
        raise AssertionError(f"the app did not start:\n{log.read_text()[-3000:]}") from late
