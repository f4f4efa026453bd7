"""What one visitor can do to another: attacks on a server of its own, and a bystander who asks it once a second.

python tests/abuse.py                          # all of them: a table
python tests/abuse.py url_without_end cameras  # some; --list names them
python tests/abuse.py --seconds 3

Each attack is a client in a process of its own, with an address of its own (127.0.1.x). The server's process tree is
ended where it takes more than LIMIT bytes of memory. An attack is held where the server lives and stays below that,
its memory comes back to within 100 MB of what it was, the bystander's 95th percentile is below 3 s, and all his answers
are right.
"""

import argparse
import json
import multiprocessing
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import abuse_unforeseen  # noqa: F401 - adds its own to ATTACKS
from abuse_attacks import ATTACKS, SMALL, Client  # the processes of attacks need no more, and start quickly

LIMIT = 4e9  # bytes
BACK = 100e6  # bytes
PATIENCE = 3.0  # seconds: the bystander's 95th percentile
SETTLING = 60.0  # seconds for the memory to come back: what is free is handed back every 20
SPAWN = multiprocessing.get_context("spawn")


@dataclass
class Outcome:
    name: str
    about: str
    held: bool
    why: str
    waits: list[float]
    peak: float
    grown: float

    def row(self) -> str:
        held = "held" if self.held else f"**not held**: {self.why}"
        waits = f"{statistics.median(self.waits):.2f} / {percentile(self.waits):.2f}"
        return f"| {self.name} | {self.about} | {held} | {waits} | {self.peak / 1e6:,.0f} | {self.grown / 1e6:+,.0f} |"


def percentile(waits: list[float]) -> float:
    return sorted(waits)[min(len(waits) - 1, int(0.95 * len(waits)))]


def tree(pid: int) -> list[int]:
    """A process and those that it started."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found, rest = [], [pid]
    while rest:
        found.append(rest.pop())
        rest += children.get(found[-1], [])
    return found


def resident(pid: int) -> float:
    """Bytes of memory of a process's tree."""
    total = 0
    for one in tree(pid):
        with suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return total


class Watcher:
    """Looks at a process tree's memory ten times a second, and ends it at LIMIT."""

    def __init__(self, pid: int):
        self.pid, self.peak, self._over = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.peak = max(self.peak, resident(self.pid))
            if self.peak > LIMIT:
                for one in tree(self.pid):
                    with suppress(OSError):
                        os.kill(one, signal.SIGKILL)
                return

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


def shares_of(answer: str) -> dict:
    if "event: complete" not in answer:
        raise ValueError(answer[-200:])
    found = json.loads(answer.strip().split("\n")[-1].removeprefix("data: "))[0]["confidences"]
    return {one["label"]: one["confidence"] for one in found}


def stand_by(url: str, over, out) -> None:
    """Ask /explain once a second until told; puts (when, seconds, what was wrong). The first five answers are right."""
    client, path, expected, count = Client(url, "127.0.0.2", "", 1e9), None, None, 0
    while not over.is_set():
        began, wrong = time.monotonic(), ""
        try:
            path = path or client.upload(SMALL)
            found = shares_of(client.call("explain", path))
            expected, count = expected or found, count + 1
            if any(abs(found[name] - share) > 1e-3 for name, share in expected.items()):
                wrong = "another answer"
        except Exception as error:
            wrong = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        out.put((began, time.monotonic() - began, wrong))
        over.wait(max(0.0, began + 1 - time.monotonic()))


def strike(name: str, url: str, web: str, seconds: float, place: int) -> None:
    ATTACKS[name](Client(url, f"127.0.1.{place % 250 + 1}", web, seconds))


def tried(name: str, place: int, server, url: str, web: str, asked, seconds: float, patience: float) -> Outcome:
    """One attack. asked: what the bystander puts."""
    while not asked.empty():
        asked.get()
    before, watcher, began = resident(server.pid), Watcher(server.pid), time.monotonic()
    attacker = SPAWN.Process(target=strike, args=(name, url, web, seconds, place), daemon=True)
    attacker.start()
    attacker.join(seconds + 60)
    attacker.kill()
    ended = time.monotonic()
    found = []
    while server.poll() is None and (not found or found[-1][0] < ended):  # also who asked when it ended
        try:
            found.append(asked.get(timeout=60))
        except Exception:
            found.append((ended + 1, 60.0, "no answer"))
    found = [one for one in found if one[0] >= began]
    end = time.monotonic() + SETTLING
    while (grown := resident(server.pid) - before) > BACK and time.monotonic() < end and server.poll() is None:
        time.sleep(0.5)
    watcher.stop()
    waits, wrong = [one[1] for one in found] or [0.0], [one[2] for one in found if one[2]]
    why = (
        ("the server ended" if server.poll() is not None else "")
        or (f"{len(wrong)} of {len(found)} answers: {wrong[0]}" if wrong else "")
        or (f"p95 {percentile(waits):.1f} s" if percentile(waits) >= patience else "")
        or (f"{grown / 1e6:.0f} MB kept" if grown > BACK else "")
    )
    return Outcome(name, ATTACKS[name].__doc__, not why, why, waits, watcher.peak, grown)


def run(
    names: list[str], seconds: float, say=print, keep_log: str | None = None, patience: float = PATIENCE
) -> list[Outcome]:
    """Each attack in turn, on one server as long as it lives."""
    from abuse_hosts import bad_hub, bad_web, write_checkpoints
    from server import started

    outcomes, rest = [], list(names)
    with tempfile.TemporaryDirectory() as folder, bad_web() as web:
        tmp = Path(folder)
        write_checkpoints(tmp / "hub")
        arguments = ("--checkpoint", "compact", "--imagenette-root", str(tmp / "none"), "--shares", str(tmp / "shares"))
        with bad_hub(tmp / "hub") as hub:
            while rest:
                with started(tmp, *arguments, program="tests/abuse_app.py", HF_ENDPOINT=hub) as (server, url, log):
                    over, asked = SPAWN.Event(), SPAWN.Queue()
                    bystander = SPAWN.Process(target=stand_by, args=(url, over, asked), daemon=True)
                    bystander.start()
                    for _ in range(5):
                        asked.get(timeout=120)
                    while rest and server.poll() is None:
                        name = rest.pop(0)
                        traces = log.read_text(errors="replace").count("Traceback")
                        outcome = tried(name, len(outcomes), server, url, web, asked, seconds, patience)
                        if log.read_text(errors="replace").count("Traceback") > traces and outcome.held:
                            outcome.held, outcome.why = False, "a traceback in the log"
                        outcomes.append(outcome)
                        say(outcome.row())
                    over.set()
                    bystander.kill()
                    if keep_log:
                        Path(keep_log).write_text(log.read_text(errors="replace"))
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all if none")
    parser.add_argument("--seconds", type=float, default=10, help="of each attack")
    parser.add_argument("--log", metavar="FILE", help="where to keep the server's log")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        print("\n".join(f"{name}: {function.__doc__}" for name, function in ATTACKS.items()))
        return 0
    print("| attack | what | | bystander's p50 / p95 (s) | peak (MB) | kept (MB) |\n|---|---|---|---|---|---|")
    outcomes = run(args.names or list(ATTACKS), args.seconds, lambda row: print(row, flush=True), args.log)
    held = sum(outcome.held for outcome in outcomes)
    print(f"\n{held} of {len(outcomes)} held.")
    return int(held < len(outcomes))


if __name__ == "__main__":
    sys.exit(main())
