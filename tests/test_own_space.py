"""A Space of one's own model: what goes there, and that it serves that model, its classes and its examples."""

import json
import re
import shutil
import urllib.request

import huggingface_hub.constants
import pytest
import yaml
from helpers import made_up_picture, tiny_model, wait_for
from hub_stand_in import hub
from PIL import Image
from server import started
from space_hub_stand_in import Account, space_hub
from test_own_examples import folder_of

from abn import AbnImageProcessor
from abn.space import deploy, own_space, space_repo, static_space
from abn.space.own_space import Own, write_examples

CLASSES = ("daisy", "rose", "tulip")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint of three classes, with what training leaves beside it."""
    folder = tmp_path_factory.mktemp("out") / "out"
    labels = {"id2label": dict(enumerate(CLASSES)), "label2id": {name: i for i, name in enumerate(CLASSES)}}
    tiny_model(num_labels=3, **labels).save_pretrained(folder)
    AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(folder)
    card = '---\nlicense: mit\nmodel_name: out\ntags:\n- abn\n---\n\n# out\n\nAbnModel.from_pretrained("out")\n'
    (folder / "README.md").write_text(card)
    for left in ("checkpoint-7", "runs"):
        (folder / left).mkdir()
        (folder / left / "model.safetensors").write_bytes(b"no")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return folder_of(tmp_path_factory.mktemp("flowers") / "val", CLASSES, count=50, side=80).parent


def beside(into, own, runtime) -> bool:
    """In place of an export, which tests/test_static_space.py has."""
    (into / "in-browser").mkdir()
    (into / "in-browser" / "index.html").write_text("a page")
    return True


@pytest.fixture
def deployed(monkeypatch, capsys, trained, pictures):
    """Run the command against a stand-in Hub; gives (account, exit status, stdout, stderr)."""

    def run(*arguments: str, account: Account | None = None):
        account = account or Account()
        with space_hub(account) as endpoint:
            monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
            monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
            monkeypatch.setenv("HF_TOKEN", "hf_write")
            monkeypatch.setattr(space_repo, "POLL", 0.0)
            monkeypatch.setattr(static_space, "write_beside", beside)
            status = 0
            try:
                deploy.main(["you/abn", "--checkpoint", str(trained), "--examples", str(pictures), *arguments])
            except SystemExit as stopped:
                status = stopped.code
        return account, status, *capsys.readouterr()

    return run


def front(files: dict) -> dict:
    return yaml.safe_load(re.match(rb"---\n(.*?)\n---\n", files["README.md"], re.DOTALL)[1])


def unpacked(files: dict, folder):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def page_of(url: str) -> dict:
    """What the page is told: the model and its classes."""
    request = urllib.request.Request(
        f"{url}/gradio_api/call/models", json.dumps({"data": [""]}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{url}/gradio_api/call/models/{event}", timeout=120) as answer:
        return json.loads(answer.read().decode().strip().split("\n")[-1].removeprefix("data: "))[0]


@pytest.mark.slow
def test_the_space_serves_ones_own_model(deployed, tmp_path):
    account, status, _, err = deployed("--licence", "cc-by-4.0", "--title", "My flowers", "--private")
    assert status == 0, err
    assert account.private
    files = account.files
    assert files["own/abn/model.safetensors"]
    assert not [name for name in files if "checkpoint-7" in name or name.startswith(("tests/", "train/", "docs/"))]
    assert len([name for name in files if name.startswith("own/examples/")]) == 99
    matter = front(files)
    assert (matter["title"], matter["license"], matter["sdk"]) == ("My flowers", "cc-by-4.0", "gradio")
    assert len(matter["short_description"]) <= 60
    assert not {"models", "datasets", "preload_from_hub"} & set(matter)
    assert b"It knows 3 classes: daisy, rose, tulip." in files["README.md"]
    assert b"Imagenette" not in files["README.md"]
    space = unpacked(files, tmp_path / "space")
    with started(tmp_path, root=space) as (_, url, log):
        told = page_of(url)
        assert told["classes"] == list(CLASSES), told
        page, state = fetched(url), json.loads(fetched(f"{url}/gradio_api/abn/state?language=en"))
    assert '<meta property="og:title" content="My flowers" />' in page
    assert "\\u003eMy flowers\\u003c/span" in page  # the heading, in the frame
    assert "Imagenette" not in page
    assert state["classes"] == list(CLASSES)
    assert state["model"]["name"] == "abn"
    assert "Traceback" not in log.read_text()


def fetched(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()


@pytest.mark.slow
def test_weights_go_to_a_repository_of_their_own(deployed, trained, tmp_path):
    account, status, _, err = deployed("--licence", "mit", "--model", "you/flowers-abn", "--private")
    assert status == 0, err
    private, files = account.models["you/flowers-abn"]
    assert private
    assert files["model.safetensors"] == (trained / "model.safetensors").read_bytes()
    assert {"config.json", "preprocessor_config.json", "modeling_abn.py", "README.md"} <= set(files)
    assert not [name for name in files if "/" in name]
    assert b'from_pretrained("you/flowers-abn")' in files["README.md"]
    assert front(files)["model_name"] == "you/flowers-abn"
    assert not [name for name in account.files if name.endswith(".safetensors") and name.startswith("own/")]
    matter = front(account.files)
    assert matter["models"] == ["you/flowers-abn"]
    assert matter["preload_from_hub"] == ["you/flowers-abn config.json,model.safetensors"]
    weights, space = unpacked(files, tmp_path / "weights"), unpacked(account.files, tmp_path / "space")
    with (
        hub(weights, "you/flowers-abn") as endpoint,
        started(tmp_path, root=space, HF_ENDPOINT=endpoint) as (_, url, _),
    ):
        wait_for(lambda: json.loads(fetched(f"{url}/gradio_api/abn/state"))["model"]["state"] == "ready", 120)
        assert page_of(url)["classes"] == list(CLASSES)


def test_a_model_without_a_card_gets_one(trained, pictures, tmp_path):
    bare = shutil.copytree(trained, tmp_path / "bare")
    (bare / "README.md").unlink()
    own = Own("flowers", bare, pictures, "cc0-1.0", model="you/flowers")
    own_space.write_model_card(own, bare / "README.md")
    text = (bare / "README.md").read_text()
    assert "license: cc0-1.0" in text
    assert "daisy, rose, tulip" in text


def test_list_says_what_would_go_and_asks_nothing(deployed):
    account, status, out, err = deployed("--list")
    assert (status, account.asked) == (0, []), err
    names = [line.split()[-1] for line in out.splitlines()]
    assert {"app.py", "own/settings.json", "own/abn/model.safetensors", "own/examples/daisy/000.jpg"} <= set(names)


def test_pictures_are_few_small_upright_and_without_metadata(tmp_path):
    source = folder_of(tmp_path / "in", CLASSES[:2], count=1)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "where I live"
    for place in range(70):
        made_up_picture(1600, 800, seed=place).save(source / "rose" / f"big-{place}.jpg", exif=exif, comment=b"secret")
    (source / "rose" / "broken.jpg").write_bytes(b"no picture")
    assert write_examples(source, tmp_path / "out") == 1 + 50
    with Image.open(tmp_path / "out" / "rose" / "000.jpg") as opened:
        assert opened.size in ((384, 768), (40, 30))
    for file in (tmp_path / "out").rglob("*.jpg"):
        assert b"secret" not in file.read_bytes()
        assert b"where I live" not in file.read_bytes()
        with Image.open(file) as opened:
            assert max(opened.size) <= 768
            assert not opened.getexif()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--licence NAME is needed"),
        (["--licence", "CC BY"], "--licence takes the Hub's name, such as cc-by-4.0"),
        (["--licence", "mit", "--model", "flowers"], "--model takes you/name of a model repository; got 'flowers'"),
        (["--licence", "mit", "--description", "a" * 61], "--description takes 60 letters at most; got 61"),
        (["--licence", "mit", "--checkpoint", "nowhere"], "--checkpoint nowhere holds no config.json and no model"),
        (["--licence", "mit", "--examples", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_what_cannot_go_is_said_before_anything_is_sent(arguments, words, deployed):
    account, status, _, err = deployed(*arguments)
    assert status == 2
    assert words in err
    assert account.asked == []


def test_larger_weights_need_a_repository(deployed, monkeypatch):
    monkeypatch.setattr(own_space, "INSIDE", 1000)
    account, status, _, err = deployed("--licence", "mit")
    assert (status, account.asked) == (2, [])
    assert "name a repository for them, --model you/name" in err


@pytest.mark.parametrize("alone", [["--checkpoint", "x"], ["--examples", "x"], ["--title", "x"]])
def test_options_that_belong_together(alone, capsys):
    with pytest.raises(SystemExit):
        deploy.main(["you/abn", *alone])
    err = capsys.readouterr().err
    assert "go together" in err or "it needs --checkpoint and --examples" in err
