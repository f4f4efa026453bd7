"""Whether a stranger's checkpoint may be served: tried in a process of its own, within its own memory and seconds."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from ... import stopping
from ..faults import Fault
from ..locale import CATALOGUES
from . import limits
from .budgets import waiting

ROOT = Path(__file__).parents[3]
EVERY = 0.05  # seconds between two looks at its memory
_ONE = threading.Semaphore(1)  # at a time: each may take TRIAL_BYTES


def tried(folder: Path) -> None:
    """Load a checkpoint elsewhere and have it explain a picture.

    Raises:
        Fault, ValueError: it cannot be had, takes too much, or gives no numbers; says which.
        Stopped: nobody wants it any more.
    """
    with waiting(), _ONE:
        surroundings = {name: value for name, value in os.environ.items() if "TOKEN" not in name and "KEY" not in name}
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.trial_process", str(folder)],
            cwd=ROOT,
            env=surroundings | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            _watch(process)
            said, log = process.communicate()
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
    lines = said.decode("utf-8", "replace").strip().splitlines()
    try:
        found = json.loads(lines[-1])
    except (IndexError, ValueError, RecursionError):
        print(f"the trial of {folder.name} ended: {log.decode('utf-8', 'replace').strip()[-300:]}", flush=True)
        raise Fault("stranger_broken") from None
    if not isinstance(found, dict):
        raise Fault("stranger_broken")
    if "key" in found:
        raise fault_of(found)
    if "words" in found:
        raise ValueError(found["words"])


def fault_of(found: dict) -> Fault:
    """The error that `trial_process.as_json` wrote; the general one where no catalogue has words for it: a process
    that reads a stranger's files may write anything."""
    try:
        fault = _fault_of(found)
        for words in CATALOGUES.values():
            fault.said(words)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, RecursionError):
        return Fault("stranger_broken")
    return fault


def _fault_of(found: dict) -> Fault:
    values = {name: _fault_of(value) if isinstance(value, dict) else value for name, value in found["values"].items()}
    return Fault(found["key"], **values)


def _watch(process: subprocess.Popen) -> None:
    """Wait for its end. Raises: Fault: it took too much memory or time. Stopped: as `stopping.check`."""
    end = time.monotonic() + limits.TRIAL_SECONDS
    while process.poll() is None:
        stopping.check()
        if resident(process.pid) > limits.TRIAL_BYTES:
            raise Fault("stranger_memory", most=f"{limits.TRIAL_BYTES / 1e9:.1f}")
        if time.monotonic() > end:
            raise Fault("stranger_slow", seconds=f"{limits.TRIAL_SECONDS:.0f}", most=f"{limits.PASS_SECONDS:g}")
        time.sleep(EVERY)


def resident(pid: int) -> int:
    """Bytes of a process's memory; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
