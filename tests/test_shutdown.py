"""SIGTERM while serving: what was asked for is answered, and the process ends with status 0."""

import signal
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from gradio_client import Client, handle_file
from helpers import made_up_picture, wait_for
from server import ROOT, started


@pytest.mark.slow
def test_sigterm_answers_what_is_under_way(tmp_path):
    made_up_picture(300, 200).save(tmp_path / "picture.png")
    arguments = ["--checkpoint", "compact", "--imagenette-root", str(tmp_path / "none")]
    with started(tmp_path, *arguments) as (process, url, log):
        client = Client(url, verbose=False)
        jobs = [
            client.submit(handle_file(tmp_path / "picture.png"), "occlusion", "church", 1, api_name="/compare")
            for _ in range(2)
        ]
        wait_for(lambda: all(job.status().code.name in ("PROCESSING", "IN_QUEUE") for job in jobs))
        assert not all(job.done() for job in jobs)
        process.send_signal(signal.SIGTERM)
        answers = [job.result(60)[1][0] for job in jobs]
        assert all(answer["method"] == "occlusion" and answer["target"] == "church" for answer in answers)
        assert process.wait(40) == 0
        words = log.read_text()
        assert "requests under way are answered first" in words
        assert "Traceback" not in words
    with pytest.raises(URLError, match="refused"):  # and nobody listens any more
        urlopen(url, timeout=5)


STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
SERVER = f"""
import signal, subprocess, sys, threading, time
from types import SimpleNamespace
from abn.space.server import shutdown
shutdown.NODE_PATIENCE = shutdown.DELIVERY = 0.05
node = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], stdout=subprocess.PIPE)
node.stdout.readline()
queue = type("Queue", (), {{"active_jobs": [1 if "busy" in sys.argv else None], "__len__": lambda self: 0}})()


def announce():
    while getattr(signal.getsignal(signal.SIGTERM), "__name__", "") != "hear":
        time.sleep(0.01)
    print(node.pid, flush=True)


threading.Thread(target=announce, daemon=True).start()
demo = SimpleNamespace(_queue=queue, node_process=node, close=lambda verbose: None)
shutdown.serve_until_told(demo)
"""


def alive(pid: int) -> bool:
    """Whether the process runs: who has ended, and is only waited for, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("signals", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_the_node_process_of_server_side_rendering_ends_too(signals):
    arguments = [sys.executable, "-c", SERVER, *(["busy"] if signals == 2 else [])]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        node = int(server.stdout.readline())
        assert alive(node)
        server.send_signal(signal.SIGTERM)
        if signals == 2:  # the first is heard, but a request is under way
            assert server.stdout.readline().startswith("Stopping")
            server.send_signal(signal.SIGTERM)
        assert server.wait(30) == (0 if signals == 1 else -signal.SIGTERM)
    assert not alive(node)
