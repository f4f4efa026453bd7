"""The page's scripts and styles: files of their own, beside the code that uses them."""

from pathlib import Path


def beside(module: str, name: str) -> str:
    """The text of the file `name` in the folder of a module, given by its `__file__`."""
    return (Path(module).parent / name).read_text(encoding="utf-8")
