"""A stand-in for ZeroGPU's device API, as spaces/zero/api.py (`APIClient`) and client.py (`schedule`, `allow`,
`release`) of the package `spaces` 0.51.3 expect it.

/schedule lends at once by JSON, or by a stream of events that are pings until one says "succeeded" or "failed"; 429 has
`left` and `wait` in seconds, 0 > wait where more was asked for than anybody may have; 503 where no card is free.
"""

import itertools
import json
import os
import signal
import threading
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from json_server import JsonHandler

MODES = ("lent", "waits", "waits in vain", "waits for ever", "quota", "too long", "none free", "killed", "broken")
PING = 0.02  # seconds


class DeviceApi:
    """mode: what becomes of loans, one of MODES. scheduled: the query of each /schedule. allowed, released: what was
    told of each token. gone: set when whoever waited has hung up."""

    def __init__(self):
        self.mode = "lent"
        self.gone = threading.Event()
        self.reset()
        self._tokens = itertools.count()

    def reset(self, mode: str = "lent") -> None:
        assert mode in MODES
        self.mode, self.scheduled, self.allowed, self.released = mode, [], {}, {}
        self.started = getattr(self, "started", 0)
        self.gone.clear()

    def loan(self) -> dict:
        number = next(self._tokens)
        return {"idle": False, "nvidiaIndex": number, "nvidiaUUID": f"GPU-{number}", "allowToken": f"token-{number}"}


@contextmanager
def device_api():
    """Serve one; gives (DeviceApi, url)."""
    api = DeviceApi()

    class Handler(JsonHandler):
        def do_POST(self):
            url = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            if url.path == "/startup-report":
                api.started += 1
                return self.say(200, {})
            if url.path == "/schedule":
                api.scheduled.append(query)
                return self.schedule()
            if url.path == "/allow":
                api.allowed[query["allowToken"]] = int(query["pid"])
                self.say(200, {})
                if api.mode == "killed":
                    os.kill(int(query["pid"]), signal.SIGKILL)
                return None
            if url.path == "/release":
                api.released[query["allowToken"]] = query["fail"]
                return self.say(404 if api.mode == "killed" else 200, {})
            return self.say(404, {})

        def schedule(self):
            if api.mode == "quota":
                return self.say(429, {"left": 3, "wait": 80000.0}, {"X-Approve-Result": "quota-exceeded"})
            if api.mode == "too long":
                return self.say(429, {"left": 120, "wait": -1.0}, {"X-Approve-Result": "illegal-duration"})
            if api.mode == "none free":
                return self.say(503, {"detail": "no GPU"})
            if api.mode == "broken":
                return self.say(500, {"detail": "an error"})
            if api.mode.startswith("waits"):
                return self.stream()
            return self.say(200, api.loan())

        def stream(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("X-Queuing-Reason", "node")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            pings = itertools.count() if api.mode == "waits for ever" else range(3)
            try:
                for _ in pings:
                    self.event("event: ping\n\n")
                    api.gone.wait(PING)  # one event a read, as over a network
                last = (
                    "event: failed\n\n"
                    if "vain" in api.mode
                    else f"event: succeeded\ndata: {json.dumps(api.loan())}\n\n"
                )
                self.event(last)
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                api.gone.set()
            self.close_connection = True

        def event(self, text):
            data = text.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield api, f"http://127.0.0.1:{server.server_port}"
    finally:
        api.gone.set()
        server.shutdown()
        server.server_close()
        thread.join()
