"""Stop when told to, with what was asked for answered."""

import signal
import threading
import time

import gradio as gr

from ..scratch import end_tidily

PATIENCE = 30.0  # seconds that requests under way may still take
DELIVERY = 0.5  # seconds for the last answers to reach their readers


def serve_until_told(demo: gr.Blocks) -> None:
    """Wait for SIGTERM or SIGINT, let requests under way and in the queue finish within PATIENCE, and close the
    launched server. No new ones are taken meanwhile; a second signal ends it at once."""
    told = threading.Event()

    def hear(number: int, _) -> None:
        told.set()
        signal.signal(number, end_tidily)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)
    while not told.wait(0.5):  # in pieces: a signal is heard between them
        pass
    print("Stopping: requests under way are answered first.", flush=True)
    demo._queue.max_size = 0
    end = time.monotonic() + PATIENCE
    while _busy(demo) and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(DELIVERY)
    demo.close(verbose=False)


def _busy(demo: gr.Blocks) -> bool:
    queue = demo._queue
    return len(queue) > 0 or any(job is not None for job in queue.active_jobs)
