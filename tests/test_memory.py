"""Freed memory goes back to the system."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import threading, time
from pathlib import Path
from abn.space.server import memory

def resident():
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmRSS"))
    return int(line.split()[1]) // 1024

def work():  # blocks too small to be mapped one by one; the last of each thread stays and holds its arena's end
    blocks = [bytearray(60_000) for _ in range(1000)]
    kept.append(blocks[-1])

memory.EVERY = 0.2
kept = []
before = resident()
assert memory.give_back_freed()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
end = time.monotonic() + 20
while resident() > before + 40 and time.monotonic() < end:
    time.sleep(0.1)
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_what_was_freed_is_handed_back():
    run = [sys.executable, "-c", PROGRAM]
    found = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert int(found.stdout) <= 40  # of about 240 MB


def test_other_c_libraries_are_left_alone(monkeypatch):
    from abn.space.server import memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1.2"))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail("called"))
    assert memory.give_back_freed() is False
