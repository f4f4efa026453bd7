"""Files that visitors uploaded: by Gradio's own /upload, each in a folder named by its content."""

import os
from pathlib import Path

from gradio.utils import get_upload_folder


def uploaded(path: str) -> Path | None:
    """The file, if it is one that was uploaded here and is still there."""
    folder = Path(get_upload_folder()).resolve()
    try:
        file = Path(path).resolve()
        return file if file.is_relative_to(folder) and os.path.isfile(file) else None
    except (ValueError, OSError):  # no path at all, such as one with a null character
        return None
