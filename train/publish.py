"""Upload an output folder to the Hub."""

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.utils import HFValidationError, validate_repo_id

from train.card import write_card

LEFT_OUT = ["checkpoint-*", "best/*", "teacher-maps-*", "runs/*", ".*", "*.writing"]


def check_name(repo_id: str) -> None:
    """Raises: ValueError: the Hub takes no such name."""
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise ValueError(f"--push-to-hub: {str(error).splitlines()[0]}") from None


def push(folder: Path, repo_id: str, metrics: dict) -> str:
    """Upload the weights with the code that loads them, and a model card that names the repository. Returns the
    commit's URL.

    Args:
        repo_id: a name alone is one of the repositories of the account that is logged in.

    Raises:
        OSError: the upload failed; what was trained is safe.
    """
    api = HfApi()
    try:
        created = api.create_repo(repo_id, exist_ok=True)
        if "/" not in repo_id:
            repo_id = created.repo_id
        write_card(folder, metrics, name=repo_id)
        commit = api.upload_folder(
            repo_id=repo_id, folder_path=folder, ignore_patterns=LEFT_OUT, commit_message="Upload ABN"
        )
    except Exception as error:  # whatever the network or the Hub says: the weights are safe
        raise OSError(f"the upload to {repo_id} failed ({error}); everything is in {folder}") from error
    print(f"pushed to {commit}")
    return str(commit)
