"""Stop when told to, with what was asked for answered."""

import signal
import subprocess
import threading
import time

import gradio as gr

from ...scratch import end_tidily

PATIENCE = 30.0  # seconds that requests under way may still take
DELIVERY = 0.5  # seconds for the last answers to reach their readers
NODE_PATIENCE = 5.0  # seconds for Node's own connections to end


def serve_until_told(demo: gr.Blocks) -> None:
    """Wait for SIGTERM or SIGINT, let requests under way and in the queue finish within PATIENCE, and close the
    launched server, the Node process of server-side rendering included. No new ones are taken meanwhile; a second
    signal ends it at once."""
    told = threading.Event()

    def hear(number: int, _) -> None:
        if told.is_set():
            _end(getattr(demo, "node_process", None), patience=0)
            end_tidily(number, None)
        told.set()

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
    _end(getattr(demo, "node_process", None), NODE_PATIENCE)  # answers pass through it: not before
    demo.close(verbose=False)


def _end(process: subprocess.Popen | None, patience: float) -> None:
    """Gradio starts it and, where its own signal handlers are replaced, leaves it running with the port."""
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:  # it waits for its own connections
        process.kill()
        process.wait()


def _busy(demo: gr.Blocks) -> bool:
    queue = demo._queue
    return len(queue) > 0 or any(job is not None for job in queue.active_jobs)
