"""Publishing: what goes to the Hub, and over HTTP to a stand-in."""

import shutil

from helpers import METRICS

from train import publish


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
