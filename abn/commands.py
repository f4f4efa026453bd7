"""What the package's commands share: their name in usage lines, what they print, and how they end."""

import sys
from collections.abc import Callable
from pathlib import Path


def program(module: str) -> str:
    """What a command calls itself in its usage line: as it was started, an installed script or `python -m`."""
    script = Path(sys.argv[0]).stem
    return script if script.startswith("abn-") else f"python -m {module}"


def print_anything() -> None:
    """From here on `print` writes what the terminal's encoding lacks as "\\u3042" and never fails: a name must not end
    a run of hours."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def carried_out(work: Callable[[], object], interrupted: str = "ended") -> int:
    """Do a command's work and tell how it ended, as its exit status.

    0: it is done. 2: a ValueError or an OSError, which is printed in one line. 130: Ctrl-C; `interrupted` is printed.
    """
    print_anything()
    try:
        work()
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return 130
    return 0
