"""Starting without Gradio's interface files."""

import importlib.util
import inspect
import sys

import gradio as gr
import pytest

from abn.space.server.quick_start import without_interface_files

SOURCE = """
import gradio as gr


class Shout(gr.HTML):
    pass
"""


def defined_in(file, monkeypatch):
    file.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, file.stem, module)
    spec.loader.exec_module(module)
    return module.Shout


def test_no_file_is_written_beside_a_component(tmp_path, monkeypatch):
    with without_interface_files():
        shout = defined_in(tmp_path / "quiet.py", monkeypatch)
        assert inspect.getfile(test_no_file_is_written_beside_a_component) == __file__
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["quiet.py"]
    assert shout("<p>hello</p>").get_config()["value"] == "<p>hello</p>"
    defined_in(tmp_path / "loud.py", monkeypatch)  # as Gradio does it; once it no longer does, the module can go
    assert (tmp_path / "loud.pyi").is_file()


def test_python_is_as_before_afterwards():
    before = inspect.getfile
    with pytest.raises(OSError, match="no interface files"), without_interface_files():
        inspect.getfile(gr.HTML)
    assert inspect.getfile is before
    assert inspect.getfile(gr.HTML).endswith(".py")
