"""README and docs/ as tests read them: their fenced blocks, and the commands in those.

A comment before a block says what a test does with it beside parsing:

    <!-- run: python -->              the block is run, beside a picture.jpg of the drawn golf ball
    <!-- run: python, on the app -->  likewise, against a running app in place of http://127.0.0.1:7860
    <!-- run, with: --list -->        each command is run with this added, which shortens it
"""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from helpers import ROOT

FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"^(?:<!--(?P<marker>[^\n]*)-->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
PYTHON = (".venv/bin/python", "python")


@dataclass(frozen=True)
class Block:
    """A fenced block. marker: the comment before it, "" without one; line: where it begins."""

    file: Path
    line: int
    marker: str
    language: str
    text: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command line of this project's own. program: a path such as train/run.py, or a module's name after "-m "."""

    block: Block
    program: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.block} {self.program}"


def blocks(file: Path) -> list[Block]:
    text = file.read_text(encoding="utf-8")
    return [
        Block(file, text[: found.start()].count("\n") + 1, (found[1] or "").strip(), found[2], found[3])
        for found in BLOCK.finditer(text)
    ]


def shell_lines(text: str) -> list[list[str]]:
    """The words of each simple command, its variables filled in, its comments and what it is piped to left out."""
    values, found = {}, []
    for line in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*", "", line)
        line = re.sub(r"^\w+=\$\(", "", line)
        line = re.sub(r"\$(\w+)", lambda match: values.get(match[1], match[0]), line)
        if assigned := re.fullmatch(r'(\w+)=("?)([^$"]*)\2', line):
            values[assigned[1]] = assigned[3]
        else:
            found += [words for part in line.split("&&") if (words := shlex.split(part.split(" | ")[0]))]
    return found


def own_command(block: Block, words: list[str]) -> Command | None:
    """None where the program is another's."""
    while re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if words[:2] == ["uv", "run"]:
        words = ["python", *words[2:]]
    if words[0] not in PYTHON:
        return None
    if words[1] == "-m":
        return None if words[2] == "pip" else Command(block, f"-m {words[2]}", tuple(words[3:]))
    return Command(block, words[1], tuple(words[2:]))
