"""SIGTERM while serving: what was asked for is answered, and the process ends with status 0."""

import signal
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from gradio_client import Client, handle_file
from helpers import made_up_picture, wait_for
from server import started


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
