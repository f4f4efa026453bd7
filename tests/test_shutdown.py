"""SIGTERM while serving: what was asked for is answered, and the process ends with status 0."""

import os
import signal
import subprocess
import sys
import threading
import time

from conftest import ROOT, made_up_picture
from gradio_client import Client, handle_file
from server import _wait, free_port


def test_sigterm_answers_what_is_under_way(tmp_path):
    made_up_picture(300, 200).save(tmp_path / "picture.png")
    port, log = free_port(), tmp_path / "app.log"
    surroundings = {**os.environ, "HF_HUB_OFFLINE": "1", "GRADIO_TEMP_DIR": str(tmp_path / "gradio")}
    arguments = ["--checkpoint", "compact", "--imagenette-root", str(tmp_path / "none"), "--port", str(port)]
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "app.py", *arguments], cwd=ROOT, env=surroundings, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        _wait(f"http://127.0.0.1:{port}", process, log)
        client = Client(f"http://127.0.0.1:{port}", verbose=False)
        jobs = [
            client.submit(handle_file(tmp_path / "picture.png"), "occlusion", "church", 1, api_name="/compare")
            for _ in range(2)
        ]
        end = time.monotonic() + 30
        while not all(job.status().code.name in ("PROCESSING", "IN_QUEUE") for job in jobs):
            assert time.monotonic() < end
            time.sleep(0.02)
        assert not all(job.done() for job in jobs)
        process.send_signal(signal.SIGTERM)
        answers = [job.result(60)[1][0] for job in jobs]
        assert all(answer["method"] == "occlusion" and answer["target"] == "church" for answer in answers)
        assert process.wait(40) == 0
    finally:
        process.kill()
    words = log.read_text()
    assert "requests under way are answered first" in words
    assert "Traceback" not in words
    assert threading.active_count() < 100
