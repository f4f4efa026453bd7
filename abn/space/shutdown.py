"""Stop when told to, with what was asked for answered."""

import signal
import threading
import time

import gradio as gr

PATIENCE = 30.0  # seconds that requests under way may still take
DELIVERY = 0.5  # seconds for the last answers to reach their readers


def serve_until_told(demo: gr.Blocks) -> None:
    """Wait for SIGTERM or SIGINT, let requests under way and in the queue finish, and close the launched server."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    while not told.wait(0.5):  # in pieces: a signal is heard between them
        pass
    print("Stopping: requests under way are answered first.", flush=True)
    end = time.monotonic() + PATIENCE
    while _busy(demo) and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(DELIVERY)
    demo.close(verbose=False)


def _busy(demo: gr.Blocks) -> bool:
    queue = demo._queue
    return len(queue) > 0 or any(job is not None for job in queue.active_jobs)
