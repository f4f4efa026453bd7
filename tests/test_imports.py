"""Who imports whom: no circles, and the library does not know the page."""

import ast
import graphlib

import pytest
from helpers import ROOT

MODULES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for package in ("abn", "train")
    for file in sorted((ROOT / package).rglob("*.py"))
}
PAGES = ("abn.space", "abn.browser")  # the second is made of the first


def imported(name: str, later: bool = False) -> set[str]:
    """The modules of this project that a module imports; `later`: in its functions, too."""
    file, found = MODULES[name], set()
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree) if later else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {each if (each := f"{module}.{alias.name}") in MODULES else module for alias in node.names}
    return found & set(MODULES) - {name}


def test_there_is_no_circle():
    """Nor one that an import inside a function would hide."""
    graph = {name: imported(name, later=True) for name in MODULES}
    assert sum(map(len, graph.values())) > 200
    assert "train.fit" in graph["train.run"] - imported("train.run")  # which imports it in a function
    assert tuple(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith(PAGES)])
def test_the_page_is_imported_by_nothing_but_itself(name):
    assert not [other for other in imported(name, later=True) if other.startswith("abn.space")]
