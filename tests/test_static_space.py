"""`deploy --static`, and the folder that goes along with a Space that has a server: against a stand-in for the Hub."""

import json
import re
import shutil

import huggingface_hub.constants
import pytest
import yaml
from helpers import made_up_picture, tiny_model
from space_hub_stand_in import OID, Account, space_hub

from abn import AbnImageProcessor
from abn.browser import export as exporting
from abn.browser import graphs
from abn.browser import runtime as fetching
from abn.browser.export import SITE
from abn.space import deploy, space_repo

CLASSES = ("cat", "dog", "bird")
NAME = "you/abn-in-the-browser"
GRAPHS = {}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(checkpoint, folder of pictures) of three classes."""
    root = tmp_path_factory.mktemp("own")
    tiny_model(id2label=dict(enumerate(CLASSES))).save_pretrained(root / "out")
    processor = AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    processor.save_pretrained(root / "out")
    for place, name in enumerate(CLASSES):
        (root / "pictures" / "val" / name).mkdir(parents=True)
        made_up_picture(90, 70, seed=place).save(root / "pictures" / "val" / name / "one.png")
    return root / "out", root / "pictures"


@pytest.fixture(scope="module")
def runtime_folder(web_runtime, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runtime")
    for name, content in web_runtime.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def exported_once(monkeypatch, tmp_path_factory):
    """A network's graphs take seconds: each network's are made once for all tests."""

    def export(model, folder):
        key = hash(tuple(weight.double().sum().item() for weight in model.parameters()))
        if key not in GRAPHS:
            made = tmp_path_factory.mktemp("graphs")
            graphs.export(model, made)
            GRAPHS[key] = made
        shutil.copytree(GRAPHS[key], folder, dirs_exist_ok=True)

    monkeypatch.setattr(exporting, "export", export)


@pytest.fixture
def deployed(monkeypatch, capsys, runtime_folder):
    """Run the command; gives (account, exit status, stdout, stderr)."""
    pytest.importorskip("onnxscript")

    def run(*arguments: str, account: Account | None = None):
        account = account or Account(name=NAME, stages=["RUNNING"])
        with space_hub(account) as endpoint:
            monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
            monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
            monkeypatch.setenv("HF_TOKEN", "hf_write")
            monkeypatch.setattr(space_repo, "POLL", 0.0)
            status = 0
            try:
                deploy.main([account.name, "--runtime", str(runtime_folder), *map(str, arguments)])
            except SystemExit as stopped:
                status = stopped.code
        return account, status, *capsys.readouterr()

    return run


def front(files: dict, name: str = "README.md") -> dict:
    return yaml.safe_load(re.match(rb"---\n(.*?)\n---\n", files[name], re.DOTALL)[1])


def facts(files: dict) -> dict:
    return json.loads(next(content for name, content in files.items() if name.endswith("/facts.json")))


def test_a_static_space_of_the_bundled_network(deployed, bundled_site):
    account, status, out, err = deployed("--static")
    assert status == 0, err
    assert out.strip().splitlines()[-1] == f"{account.url}/spaces/{NAME}"
    (created,) = [json.loads(body) for _, path, body in account.asked if path == "/api/repos/create"]
    assert (created["sdk"], "hardware" in created) == ("static", False)
    wanted = {file.relative_to(bundled_site).as_posix(): file for file in bundled_site.rglob("*") if file.is_file()}
    assert set(account.files) == set(wanted)
    differ = [name for name, file in wanted.items() if account.files[name] != file.read_bytes()]
    assert differ in ([], ["README.md"])  # its front matter was read and written
    matter = front(account.files)
    assert matter == front({"README.md": (SITE / "README.md").read_bytes()})
    assert matter["sdk"] == "static"
    assert matter["custom_headers"]["cross-origin-embedder-policy"] == "require-corp"
    assert matter["custom_headers"]["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.slow
def test_a_static_space_of_ones_own_network(deployed, trained):
    checkpoint, pictures = trained
    more = ("--checkpoint", checkpoint, "--examples", pictures, "--licence", "cc-by-4.0", "--title", "My <pets>")
    account, status, _, err = deployed("--static", *more, "--private")
    assert status == 0, err
    assert account.private
    told = facts(account.files)
    assert (told["labels"], told["name"]) == (list(CLASSES), "abn-in-the-browser")
    assert sorted(one["label"] for one in told["examples"]) == sorted(CLASSES)
    matter = front(account.files)
    assert (matter["title"], matter["license"], matter["sdk"]) == ("My <pets>", "cc-by-4.0", "static")
    page = account.files["index.html"].decode()
    assert "<title>My &lt;pets&gt;</title>" in page
    assert '<span class="abn-claim" >My &lt;pets&gt;</span>' in page


@pytest.mark.slow
def test_a_later_push_takes_the_place_of_the_one_before(deployed, trained):
    account = Account(name=NAME, exists=True, sdk="static", stages=["RUNNING"])
    account.files = {"0123456789ab/network/see.gz": b"old", "index.html": b"old", "mine.txt": b"mine"}
    account, status, out, err = deployed(
        "--static", "--checkpoint", trained[0], "--examples", trained[1], account=account
    )
    assert status == 0, err
    assert "exists: it is pushed to, its visibility stays\n" in out
    assert "0123456789ab/network/see.gz" not in account.files
    assert account.files["index.html"] != b"old"
    assert account.files["mine.txt"] == b"mine"
    assert "license" not in front(account.files)  # nobody said one


@pytest.mark.slow
def test_a_space_with_a_server_is_not_made_a_static_one(deployed, trained):
    account = Account(name=NAME, exists=True)
    account, status, _, err = deployed(
        "--static", "--checkpoint", trained[0], "--examples", trained[1], account=account
    )
    assert (status, account.files) == (2, {})
    assert f"error: {NAME} is a Space of another kind (gradio, not static): choose another name" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--hardware", "zero-a10g"], "--hardware is for a Space with a server; --static needs none"),
        (["--bucket", "you/pictures"], "--bucket is for a Space with a server"),
        (["--model", "you/flowers"], "--model is for a Space with a server"),
        (["--server-only"], "--server-only is for a Space with a server"),
        (["--licence", "mit"], "--licence is for a Space of one's own model"),
        (["--checkpoint", "x"], "--checkpoint and --examples go together"),
    ],
)
def test_options_that_a_static_space_has_not(arguments, words, capsys):
    with pytest.raises(SystemExit):
        deploy.main([NAME, "--static", *arguments])
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_a_space_with_a_server_takes_the_folder_along(deployed, trained):
    account = Account(name=NAME, exists=True, hardware="zero-a10g", stages=["RUNNING"])
    old = "in-browser/0123456789ab/network/see.gz"
    account.files = {old: b"old", "own/kept.txt": b"kept"}
    checkpoint, pictures = trained
    account, status, _, err = deployed(
        "--checkpoint", checkpoint, "--examples", pictures, "--licence", "mit", account=account
    )
    assert status == 0, err
    beside = {name.removeprefix("in-browser/"): each for name, each in account.files.items() if "in-browser/" in name}
    assert (facts(beside)["labels"], facts(beside)["name"]) == (list(CLASSES), "abn-in-the-browser")
    assert {"index.html", "sw.js"} <= set(beside)
    assert "README.md" not in beside
    assert old not in account.files
    assert "own/kept.txt" in account.files
    assert front(account.files)["sdk"] == "gradio"


def test_without_a_runtime_the_rest_goes_without(deployed, trained, tmp_path):
    checkpoint, pictures = trained
    more = ("--checkpoint", checkpoint, "--examples", pictures, "--licence", "mit", "--runtime", tmp_path)
    account, status, _, err = deployed(*more, account=Account(name=NAME, stages=["RUNNING"]))
    assert status == 0
    line = err.strip().splitlines()[-1]
    assert line.startswith("without the page in the browser: ")
    assert f"lacks {next(iter(fetching.FILES))}" in line
    assert "app.py" in account.files
    assert not [name for name in account.files if name.startswith("in-browser/")]


def test_server_only_leaves_it_out(deployed, trained):
    checkpoint, pictures = trained
    more = ("--checkpoint", checkpoint, "--examples", pictures, "--licence", "mit", "--server-only")
    account, status, _, err = deployed(*more, account=Account(name=NAME, stages=["RUNNING"]))
    assert status == 0, err
    assert "in the browser" not in err
    assert not [name for name in account.files if name.startswith("in-browser/")]
    assert account.sha == OID
