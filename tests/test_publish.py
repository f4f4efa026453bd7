"""Publishing: what goes to the Hub, and over HTTP to a stand-in."""

import shutil

import pytest
from helpers import METRICS, run_here
from hub_stand_in import COMMIT, accepting_hub, endpoint
from huggingface_hub import ModelCard

from train import publish
from train.run import main


def test_push_uploads_weights_and_code_and_no_checkpoints(tiny_folder, monkeypatch):
    calls = {}

    class Api:
        def create_repo(self, repo_id, exist_ok):
            calls["repo"] = (repo_id, exist_ok)

        def upload_folder(self, **arguments):
            calls["upload"] = arguments
            return "https://hub/commit"

    monkeypatch.setattr(publish, "HfApi", Api)
    shutil.copytree(tiny_folder, tiny_folder / "checkpoint-7")
    assert publish.push(tiny_folder, "someone/abn", METRICS) == "https://hub/commit"
    assert calls["repo"] == ("someone/abn", True)
    assert calls["upload"]["folder_path"] == tiny_folder
    assert {"checkpoint-*", "best/*", "teacher-maps-*", "runs/*"} <= set(calls["upload"]["ignore_patterns"])
    assert {"modeling_abn.py", "layouts.py", "pictures.py"} <= {file.name for file in tiny_folder.iterdir()}
    assert "someone/abn" in (tiny_folder / "README.md").read_text()


def test_what_is_left_out_is_left_out():
    from huggingface_hub.utils import filter_repo_objects

    files = ["model.safetensors", "modeling_abn.py", "checkpoint-7/model.safetensors", "best/model.safetensors"]
    files += ["teacher-maps-1.safetensors", "runs/one/events", ".writing/x", "README.md", "calibration.json"]
    kept = list(filter_repo_objects(files, ignore_patterns=publish.LEFT_OUT))
    assert kept == ["model.safetensors", "modeling_abn.py", "README.md", "calibration.json"]


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_made_up")


@pytest.mark.parametrize(
    ("asked", "repo"),
    [
        ("", "someone/my-net.1"),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in [("team/abn", "team/abn"), ("abn", "someone/abn")]),
    ],
)
def test_push_to_hub_with_and_without_a_name(asked, repo, tiny_imagenette, tmp_path, monkeypatch, token, capsys):
    """Without one: the account's repository of the output folder's name, as transformers' Trainer has it
    (`init_hf_repo`, with which the reference's train.py pushes)."""
    out, held = tmp_path / "my-net.1", tmp_path / "hub"
    with accepting_hub(held) as url:
        endpoint(monkeypatch, url)
        run_here(tiny_imagenette, out, "--max-steps", "1", "--push-to-hub", *([asked] if asked else []))
    assert f"pushed to {url}/{repo}/commit/" in capsys.readouterr().out
    assert [str(folder.relative_to(held)) for folder in held.glob("*/*")] == [repo]
    pushed = held / repo
    assert (pushed / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()
    assert {"config.json", "preprocessor_config.json", "modeling_abn.py"} <= {file.name for file in pushed.iterdir()}
    assert not list(pushed.glob("checkpoint-*"))
    assert ModelCard.load(pushed / "README.md").data.model_name == repo
    assert f'from_pretrained("{repo}"' in (pushed / "README.md").read_text()


def test_a_repository_that_is_there_is_pushed_into(tiny_folder, tmp_path, monkeypatch, token):
    (tmp_path / "hub" / "someone" / "abn").mkdir(parents=True)
    with accepting_hub(tmp_path / "hub") as url:
        endpoint(monkeypatch, url)
        assert publish.push(tiny_folder, "abn", METRICS) == f"{url}/someone/abn/commit/{COMMIT}"
    assert (tmp_path / "hub" / "someone" / "abn" / "config.json").is_file()


@pytest.mark.parametrize("refuses", ["/repos/create", "/commit/"])
def test_a_refused_push_keeps_what_was_trained(refuses, tiny_folder, tmp_path, monkeypatch, token):
    with accepting_hub(tmp_path / "hub", refuses=refuses) as url:
        endpoint(monkeypatch, url)
        with pytest.raises(OSError, match=r"(?s)the upload to someone/abn failed .* everything is in"):
            publish.push(tiny_folder, "someone/abn", METRICS)
    assert (tiny_folder / "model.safetensors").is_file()


@pytest.mark.parametrize("name", ["my net", "a/b/c", "-net", "two..dots", "net.git"])
def test_a_name_that_the_hub_does_not_take_is_refused_before_training(name, tmp_path, capsys):
    assert main([f"--push-to-hub={name}", "--checkpoint", str(tmp_path / "out"), "--gpu-id", "cpu"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: --push-to-hub: ")
    assert name in error
    assert not (tmp_path / "out").exists()
    if "/" not in name:
        assert main(["--push-to-hub", "--checkpoint", str(tmp_path / name), "--gpu-id", "cpu"]) == 2
        assert "error: --push-to-hub: " in capsys.readouterr().err
