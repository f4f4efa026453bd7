"""Upload an output folder to the Hub."""

from pathlib import Path

from huggingface_hub import HfApi

from train.card import write_card

LEFT_OUT = ["checkpoint-*", "best/*", "teacher-maps-*", "runs/*", ".*", "*.writing"]


def push(folder: Path, repo_id: str, metrics: dict) -> str:
    """Upload the weights with the code that loads them, and a model card that names the repository. Returns the
    commit's URL.

    Raises:
        OSError: the upload failed; what was trained is safe.
    """
    write_card(folder, metrics, name=repo_id)
    api = HfApi()
    try:
        api.create_repo(repo_id, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id, folder_path=folder, ignore_patterns=LEFT_OUT, commit_message="Upload ABN"
        )
    except Exception as error:  # whatever the network or the Hub says: the weights are safe
        raise OSError(f"the upload to {repo_id} failed ({error}); everything is in {folder}") from error
    print(f"pushed to {commit}")
    return str(commit)
