"""The very files that would be pushed to a Space, against the Space's rules."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import huggingface_hub.constants
import pytest
import yaml
from helpers import ROOT
from packaging.requirements import Requirement
from packaging.version import Version
from space_hub_stand_in import Account, space_hub

from abn.space import deploy, space_repo, static_space
from abn.space.server.zero_gpu import PYTHONS, TORCH

COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}  # the Hub's
PAGE = {".html", ".js", ".css", ".json"}  # what the page is made of, beside Python
LARGEST = 10_000_000  # bytes; above it, git there wants LFS or Xet


@pytest.fixture(scope="module")
def space(tmp_path_factory) -> Path:
    """A copy of the pushed files alone."""
    folder = tmp_path_factory.mktemp("space")
    for name in deploy.pushed():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def card(space) -> dict:
    found = re.match(r"---\n(.*?)\n---\n", (space / "README.md").read_text(), re.DOTALL)
    return yaml.safe_load(found[1])


def test_what_is_needed_is_there_and_nothing_else(space):
    names = deploy.pushed()
    needed = {"app.py", "README.md", "requirements.txt", "abn/space/page.py", "abn/weights/compact/model.safetensors"}
    assert needed <= set(names)
    page = {file.relative_to(ROOT).as_posix() for file in (ROOT / "abn" / "space").rglob("*") if file.suffix in PAGE}
    assert page <= set(names)
    assert {Path(name).suffix for name in page} == PAGE
    tops = {name.split("/")[0] for name in names}
    assert not tops & {".git", ".venv", "data", "shares", "checkpoint", "outputs"}
    assert not [name for name in names if "__pycache__" in name]


def test_no_file_is_larger_than_git_there_takes(space):
    sizes = {file: file.stat().st_size for file in space.rglob("*") if file.is_file()}
    assert [file for file, size in sizes.items() if size > LARGEST] == []


def test_the_front_matter_is_valid(space, card):
    assert card["sdk"] == "gradio"
    assert (space / card["app_file"]).is_file()
    assert card["colorFrom"] in COLOURS
    assert card["colorTo"] in COLOURS
    assert len(card["short_description"]) <= 60
    assert card["license"] == "mit"
    assert re.fullmatch(r"3\.(11|12|13)(\.\d+)?", card["python_version"])
    assert isinstance(card["python_version"], str)
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", name) for name in [*card["models"], *card["datasets"]])
    for line in card["preload_from_hub"]:
        repo, files = line.split(" ")
        assert repo in card["models"]
        assert files.split(",") == ["config.json", "model.safetensors"]


def test_the_gradio_of_the_card_is_one_that_the_requirements_allow(space, card):
    wanted = ranges(space)
    assert wanted["gradio"].contains(card["sdk_version"])
    assert wanted["gradio"].contains(version("gradio"))


def ranges(space) -> dict:
    lines = (space / "requirements.txt").read_text().splitlines()
    return {found.name: found.specifier for found in map(Requirement, filter(None, lines))}


REFUSED = ("2.9.0", "2.12.0", "2.13.1", "2.14.0", "2.14.1", "2.15.0", "2.16.0")  # releases, and ones that may come


def test_the_newest_torch_allowed_is_one_that_zero_gpu_takes(space, card):
    wanted = ranges(space)
    newest = max((v for v in (*TORCH, *REFUSED) if wanted["torch"].contains(v)), key=Version)
    assert newest in TORCH
    pairs = [TORCH[v] for v in TORCH if wanted["torch"].contains(v)]
    visions = (*TORCH.values(), "0.28.1", "0.29.0", "0.29.2", "0.30.0")
    assert max((v for v in visions if wanted["torchvision"].contains(v)), key=Version) == TORCH[newest]
    assert wanted["torch"].contains("2.11.0")
    assert all(wanted["torchvision"].contains(v) for v in pairs)
    assert card["python_version"] in PYTHONS


@pytest.mark.slow
def test_pip_resolves_the_requirements_to_what_zero_gpu_takes(space, card, tmp_path):
    """As a Space's build does: Python 3.12, beside `gradio[oauth,mcp]` of the card and `spaces`."""
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(5, 36)]
    platforms += ["manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64", "linux_x86_64"]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip = [tmp_path / "venv" / "bin" / "python", "-m", "pip", "--quiet", "install"]
    if subprocess.run([*pip, "pip>=25.1"], capture_output=True).returncode:  # it resolves without downloading
        pytest.skip("no package index at hand")
    report = tmp_path / "report.json"
    done = subprocess.run(
        [*pip, "--dry-run", "--ignore-installed", "--report", report, "--target", tmp_path / "none"]
        + ["--python-version", "3.12", "--implementation", "cp", "--only-binary", ":all:"]
        + [word for name in platforms for word in ("--platform", name)]
        + [f"gradio[oauth,mcp]=={card['sdk_version']}", "spaces", "-r", space / "requirements.txt"],
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull},  # a machine's own constraints are not a Space's
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    chosen = {one["metadata"]["name"]: one["metadata"]["version"] for one in json.loads(report.read_text())["install"]}
    assert chosen["torchvision"] == TORCH[chosen["torch"]]
    assert chosen["gradio"] == card["sdk_version"]


@pytest.mark.parametrize("present", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_app_imports_with_spaces_and_without(present, space):
    """`spaces` is on ZeroGPU machines alone, and wants to come before PyTorch."""
    code = (
        "import json, sys\n" + ("" if present else "sys.modules['spaces'] = None\n") + "import app\n"
        "from pathlib import Path; import abn\n"
        "order = [name for name in sys.modules if name in ('spaces', 'torch') and sys.modules[name]]\n"
        "print(json.dumps([Path(abn.__file__).parts[-3], order]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=space, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [space.name, ["spaces", "torch"] if present else ["torch"]]


def beside(into, own, runtime) -> bool:
    """In place of an export, which tests/test_static_space.py has."""
    (into / "in-browser").mkdir()
    (into / "in-browser" / "index.html").write_text("a page")
    return True


@pytest.fixture
def deployed(space, monkeypatch, capsys):
    """Run the command against a stand-in Hub; gives (account, exit status, stdout, stderr)."""

    def run(account: Account, *arguments: str, token: str = "hf_write", repo_id: str = "you/abn"):
        with space_hub(account) as endpoint:
            monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
            monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
            monkeypatch.setenv("HF_TOKEN", token)
            monkeypatch.setattr(space_repo, "POLL", 0.0)
            monkeypatch.setattr(static_space, "write_beside", beside)
            monkeypatch.setattr(deploy, "ROOT", space)
            status = 0
            try:
                deploy.main([repo_id, *arguments])
            except SystemExit as stopped:
                status = stopped.code
        out, err = capsys.readouterr()
        return account, status, out, err

    return run


def last_line(words: str) -> str:
    return words.strip().splitlines()[-1]


def test_a_free_account_gets_a_zero_gpu_space(space, deployed):
    account, status, out, err = deployed(Account())
    assert status == 0, err
    assert (account.hardware, account.private, account.volumes, account.variables) == ("zero-a10g", False, [], {})
    ours = {name: (space / name).read_bytes() for name in deploy.pushed()}
    assert account.files == ours | {"in-browser/index.html": b"a page"}
    assert last_line(out) == f"{account.url}/spaces/you/abn"
    assert [line.split()[-1] for line in out.splitlines()[1:-1]] == ["BUILDING", "APP_STARTING", "RUNNING"]


def test_the_options_go_together(deployed):
    account, status, _, err = deployed(Account(), "--private", "--hardware", "zero-a10g", "--bucket", "you/pictures")
    assert status == 0, err
    assert account.private
    assert account.volumes == [{"type": "bucket", "source": "you/pictures", "mountPath": "/data"}]
    assert account.variables == {"ABN_SHARES": "/data/shares"}


@pytest.mark.parametrize(
    ("account", "arguments", "words"),
    [
        (
            {},
            ["--hardware", "cpu-basic"],
            ["402", "requires a PRO subscription", "leave --hardware out", "two ZeroGPU"],
        ),
        ({"zero_spaces": 2}, [], ["402", "maximum number", "A free account may have two ZeroGPU Spaces: free one"]),
        ({}, ["--hardware", "t4-small"], ["402", "t4-small is paid by the hour", "settings/billing"]),
        ({}, ["--hardware", "a-toaster"], ["400", "must be one of", "a-toaster"]),
        ({}, ["--bucket", "you/none"], ["404", "hf buckets create you/none"]),
    ],
)
def test_a_refusal_is_a_sentence_with_what_to_do(account, arguments, words, deployed):
    account, status, out, err = deployed(Account(**account), *arguments)
    assert status == 2
    assert not account.files
    assert out == ""
    assert err.startswith("error: you/abn was not created: ")
    assert len(err.splitlines()) == 1
    assert [one for one in words if one not in err] == []


def test_who_is_not_logged_in_is_told_how(deployed):
    _, status, _, err = deployed(Account(), token="hf_old")
    assert (status, "401" in err, "`hf auth login`" in err) == (2, True, True)


def test_a_token_that_may_not_write_there(deployed):
    _, status, _, err = deployed(Account(), repo_id="someone/abn")
    assert (status, "403" in err, "a token that may write there" in err) == (2, True, True)
    assert 'namespace "someone"' in err


def test_a_name_that_is_taken_by_what_is_no_space(deployed):
    account = Account()
    account.answers["/api/repos/create"] = (409, {"error": "This name is reserved"})
    _, status, _, err = deployed(account)
    assert (status, "409" in err, "choose another name" in err) == (2, True, True)


@pytest.mark.parametrize("hardware", ["cpu-basic", "t4-small", "zero-a10g"])
def test_a_space_that_exists_keeps_its_hardware(hardware, deployed):
    account, status, out, err = deployed(Account(exists=True, hardware=hardware, zero_spaces=2))
    assert status == 0, err
    assert (account.hardware, "/api/spaces/you/abn/hardware" in [path for _, path, _ in account.asked]) == (
        hardware,
        False,
    )
    assert account.files
    assert "its hardware too" in out


def test_a_space_that_exists_gets_what_it_is_told_to(deployed):
    account = Account(exists=True, hardware="zero-a10g")
    other = {"type": "model", "source": "you/weights", "mountPath": "/models", "readOnly": True}
    account.volumes = [other, {"type": "bucket", "source": "you/old", "mountPath": "/data"}]
    account, status, _, err = deployed(account, "--hardware", "cpu-basic", "--bucket", "you/pictures")
    assert status == 0, err  # the 402 is for creating one
    assert account.hardware == "cpu-basic"
    assert account.volumes == [other, {"type": "bucket", "source": "you/pictures", "mountPath": "/data"}]
    assert account.variables == {"ABN_SHARES": "/data/shares"}


def test_a_build_that_fails_shows_the_end_of_its_log(deployed):
    account = Account(stages=["BUILDING", "BUILD_ERROR"])
    account.build_log = [f"step {number}" for number in range(30)] + [
        "ERROR: No matching distribution found for tourch"
    ]
    account, status, out, err = deployed(account)
    assert status == 2
    assert err.splitlines()[0] == "step 11"
    assert err.splitlines()[-2] == "ERROR: No matching distribution found for tourch"
    assert last_line(err).startswith(f"error: {account.url}/spaces/you/abn does not run: BUILD_ERROR")
    assert last_line(out).endswith("BUILD_ERROR")


def test_an_app_that_fails_shows_the_end_of_its_own_log(deployed):
    account = Account(stages=["BUILDING", "APP_STARTING", "RUNTIME_ERROR"])
    account.build_log, account.run_log = ["all built"], ["Traceback", "ZeroDivisionError: division by zero"]
    _, status, _, err = deployed(account)
    assert (status, "ZeroDivisionError" in err, "all built" in err) == (2, True, False)


def test_the_build_before_is_not_taken_for_this_one(deployed):
    account = Account(exists=True, hardware="zero-a10g", stages=["OLD", "RUNNING_BUILDING", "RUNNING"])
    fresh = account.runtime

    def runtime():  # right after a push the Hub may still say what it said before
        return {**told, "stage": "RUNNING", "sha": "0" * 40} if (told := fresh())["stage"] == "OLD" else told

    account.runtime = runtime
    _, status, out, err = deployed(account)
    assert status == 0, err
    assert [line.split()[-1] for line in out.splitlines()[2:-1]] == ["RUNNING", "RUNNING_BUILDING", "RUNNING"]


def test_a_paused_space_is_said_to_be(deployed):
    account, status, out, _ = deployed(Account(exists=True, hardware="cpu-basic", stages=["PAUSED"]))
    assert (status, last_line(out)) == (
        0,
        f"{account.url}/spaces/you/abn (PAUSED: restart it on its page, under Settings)",
    )


def test_a_hub_that_fails_for_a_moment_is_asked_again(deployed):
    account = Account(stages=["RUNNING"])
    account.outages = 3
    _, status, _, err = deployed(account)
    assert (status, account.outages) == (0, 0), err


def test_a_hub_that_stays_away_is_given_up(deployed):
    account = Account()
    account.outages = 1000
    _, status, _, err = deployed(account)
    assert (status, "was pushed to, but cannot be watched: the Hub answered 503" in err) == (2, True)


def test_ctrl_c_leaves_it_building(deployed, monkeypatch):
    def interrupt(self, commit, report):
        report("BUILDING")
        raise KeyboardInterrupt

    monkeypatch.setattr(space_repo.SpaceRepo, "wait", interrupt)
    account, status, out, _ = deployed(Account())
    assert (status, last_line(out)) == (0, f"It goes on building: {account.url}/spaces/you/abn")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["you/abn", "--bucket", "pictures"], "--bucket takes you/name of a storage bucket; got 'pictures'"),
        (["you/abn", "--hardware", "T4 small"], "--hardware takes the Hub's name, such as zero-a10g; got 'T4 small'"),
        (["a/b/c"], "a Space is named you/name; got 'a/b/c'"),
    ],
)
def test_options_that_can_be_nothing_are_refused_before_anything_is_sent(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        deploy.main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_a_hub_that_cannot_be_reached(monkeypatch, capsys):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between the attempts of huggingface_hub
    with pytest.raises(SystemExit) as stopped:
        deploy.main(["you/abn", "--server-only"])
    assert stopped.value.code == 2
    assert "error: the Hub cannot be reached: " in capsys.readouterr().err
