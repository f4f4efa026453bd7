"""Upload an output folder to the Hub."""

from pathlib import Path

from huggingface_hub import HfApi

from train.card import write_card

LEFT_OUT = ["checkpoint-*", "best/*", "teacher-maps-*", "runs/*", ".*", "*.writing"]


def push(folder: Path, repo_id: str, metrics: dict) -> str:
    """Upload the weights with the code that loads them, and a model card that names the repository. Returns the
    commit's URL."""
    write_card(folder, metrics, name=repo_id)
    api = HfApi()
    api.create_repo(repo_id, exist_ok=True)
    commit = api.upload_folder(
        repo_id=repo_id, folder_path=folder, ignore_patterns=LEFT_OUT, commit_message="Upload ABN"
    )
    print(f"pushed to {commit}")
    return str(commit)
