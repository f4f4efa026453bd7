"""A web server of files alone, as any host of static pages is one."""

import functools
import http.server
import threading
import time

ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


class Plain(http.server.ThreadingHTTPServer):
    """A web server of files alone. headers: sent with each; missing: parts of paths that are not found; rate: bytes a
    second of the whole line, None for no limit."""

    def __init__(self, folder):
        self.renew()
        self.turn, self.free = threading.Lock(), 0.0  # when the line is free again
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def renew(self):
        """As it was at the start."""
        self.headers, self.missing, self.asked, self.rate = {}, [], [], None

    def wait(self, count: int) -> None:
        """For as long as the line takes for so many bytes."""
        if self.rate is None:
            return
        with self.turn:
            self.free = max(self.free, time.monotonic()) + count / self.rate
            until = self.free
        time.sleep(max(0.0, until - time.monotonic()))

    def close(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if any(part in self.path for part in self.server.missing):
            return self.send_error(404)
        return super().do_GET()

    def copyfile(self, source, outputfile):
        while part := source.read(16384):
            self.server.wait(len(part))
            outputfile.write(part)

    def end_headers(self):
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_):
        pass
