"""Times and bytes against their limits, as one table at the end."""

import os
from collections.abc import Iterator

PATIENCE = 1 if os.environ.get("ABN_QUIET") else 5  # times a limit of seconds


def rows_printed() -> Iterator[list]:
    """For a fixture: rows of (what, measured, limit, unit, at most?), printed at the end."""
    rows = []
    yield rows
    print(f"\n\n{'':44}{'measured':>12}{'limit':>12}")
    for what, value, limit, unit, most in rows:
        kept = value <= limit if most else value >= limit
        mark = "" if kept else "  missed"
        print(
            f"{what:44}{value:9.2f} {unit:3}{limit:9.2f} {unit:3}{mark}"
            if unit == "s"
            else f"{what:44}{value:9.0f} {unit:3}{limit:9.0f} {unit:3}{mark}"
        )
