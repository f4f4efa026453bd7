"""How commands end: what they print, and their exit status."""

import subprocess
import sys

import pytest

from abn.commands import carried_out, program


def raising(error: BaseException):
    def work():
        raise error

    return work


def test_work_that_is_done_prints_nothing_of_its_own(capsys):
    assert carried_out(lambda: print("figures")) == 0
    assert capsys.readouterr() == ("figures\n", "")


@pytest.mark.parametrize("error", [ValueError("no such\n  class"), FileNotFoundError("no such\n  class")])
def test_what_can_be_mended_is_one_line(capsys, error):
    assert carried_out(raising(error)) == 2
    assert capsys.readouterr() == ("", "error: no such class\n")


def test_ctrl_c_tells_how_to_go_on(capsys):
    assert carried_out(raising(KeyboardInterrupt()), "ended; go on with --resume") == 130
    assert capsys.readouterr() == ("", "ended; go on with --resume\n")


def test_a_fault_of_the_program_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        carried_out(raising(ZeroDivisionError()))


def test_a_name_that_the_terminal_cannot_show_ends_nothing():
    code = "from abn.commands import carried_out; raise SystemExit(carried_out(lambda: print('chat, \u732b')))"
    said = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True
    )
    assert said.stdout.splitlines() == [b"chat, \\u732b"]


@pytest.mark.parametrize(
    ("started", "called"), [("/bin/abn-survey", "abn-survey"), ("/lib/abn/survey/__main__.py", "python -m abn.survey")]
)
def test_a_command_calls_itself_as_it_was_started(monkeypatch, started, called):
    monkeypatch.setattr(sys, "argv", [started])
    assert program("abn.survey") == called
