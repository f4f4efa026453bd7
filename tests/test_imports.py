"""Which part may import which: read off the files, imports within functions included."""

import ast
from functools import cache
from importlib.util import resolve_name

from helpers import ROOT

FILES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in [ROOT / "app.py", *sorted((ROOT / "abn").rglob("*.py")), *sorted((ROOT / "train").rglob("*.py"))]
}


def package_of(module: str) -> str:
    return module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]


@cache
def imported(module: str) -> frozenset[str]:
    """The project's modules that a module imports, those packages included that run on the way to them."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = (
                resolve_name("." * node.level + (node.module or ""), package_of(module)) if node.level else node.module
            )
            parts = {f"{source}.{alias.name}" for alias in node.names}
            found |= {name for name in parts if name in FILES}
            if not parts <= FILES.keys():
                found.add(source)
    found |= {name.rpartition(".")[0] for name in found for _ in name.split(".")[1:]}
    own = {module} | {".".join(module.split(".")[:depth]) for depth in range(1, module.count(".") + 1)}
    return frozenset(name for name in found & FILES.keys() if name not in own)


def part(name: str) -> str:
    """abn, abn.space, train or app."""
    return "abn.space" if (name + ".").startswith("abn.space.") else name.split(".")[0]


ALLOWED = {"abn": {"abn"}, "train": {"abn", "train"}, "abn.space": {"abn", "abn.space"}, "app": {"abn", "abn.space"}}


def test_imports_run_one_way():
    crossed = [
        f"{module} imports {name}"
        for module in FILES
        for name in sorted(imported(module))
        if part(name) not in ALLOWED[part(module)]
    ]
    assert crossed == []


def test_no_circle():
    """Depth first; a module on its own way back is part of a circle."""
    done, way = set(), []

    def visit(module: str) -> None:
        assert module not in way, " -> ".join([*way[way.index(module) :], module])
        if module in done:
            return
        way.append(module)
        for name in sorted(imported(module)):
            visit(name)
        done.add(way.pop())

    for module in sorted(FILES):
        visit(module)


ORDER = ("abn.model", "abn.methods", "abn.families", "abn.checkpoints", "abn.explanation", "abn.tuning")
ORDER += ("abn.faithfulness", "abn.comparison")


def test_the_librarys_layers_import_those_below():
    """From a network's files up: none imports one that stands after it."""
    for place, layer in enumerate(ORDER):
        later = tuple(f"{name}." for name in ORDER[place + 1 :])
        for module in FILES:
            if (module + ".").startswith(layer + "."):
                above = [name for name in imported(module) if (name + ".").startswith(later)]
                assert above == [], module
