"""abn/model is what saved checkpoints carry, file by file."""

import ast

import pytest
from helpers import ROOT

from abn import AbnConfig, AbnForImageClassification, AbnForMultiTaskClassification, AbnImageProcessor
from abn.model.image_processing_vit import VitImageProcessor

MODEL = ROOT / "abn" / "model"
SMALL = {"arch": "resnet18", "width": 8, "num_labels": 3}


def saved(folder) -> dict[str, bytes]:
    """The code that a classifier, a multi-task network, their processor and a transformer's leave in a folder."""
    AbnForImageClassification(AbnConfig(**SMALL)).save_pretrained(folder)
    AbnForMultiTaskClassification(AbnConfig(**SMALL, multitask="v1")).save_pretrained(folder)
    AbnImageProcessor().save_pretrained(folder)
    VitImageProcessor().save_pretrained(folder)
    return {file.name: file.read_bytes() for file in folder.glob("*.py") if file.name != "__init__.py"}


def test_saved_checkpoints_carry_every_file_of_the_folder_and_no_other(tmp_path):
    here = {file.name: file.read_bytes() for file in MODEL.glob("*.py") if file.name != "__init__.py"}
    assert saved(tmp_path / "saved") == here


def test_its_files_import_their_neighbours_by_one_dot_and_by_name():
    """`from . import name` is followed by Python and not by transformers, which leaves the file behind."""
    for file in MODEL.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert (node.level, bool(node.module)) == (1, True), f"{file.name}:{node.lineno}"
                assert (MODEL / f"{node.module}.py").is_file(), f"{file.name}:{node.lineno}"
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
                assert not any(name.split(".")[0] in ("abn", "train") for name in names), f"{file.name}:{node.lineno}"


def test_the_names_that_older_folders_have_in_their_auto_map_are_kept(tmp_path):
    files = saved(tmp_path / "saved")
    assert {"configuration_abn.py", "modeling_abn.py", "modeling_multitask.py", "image_processing_abn.py"} <= set(files)


@pytest.mark.parametrize("name", ["image_processing_abn", "image_processing_vit"])
def test_a_processors_file_names_all_that_its_neighbours_need(name):
    """transformers 4.57 (dynamic_module_utils.py, get_cached_module_file) copies what the file itself imports, and then
    looks for what those import: without this it says that a file is missing, and not which version is needed."""

    def imports(file: str) -> set[str]:
        tree = ast.parse((MODEL / f"{file}.py").read_text())
        return {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level}

    named = imports(name)
    assert set().union(*map(imports, named)) <= named
