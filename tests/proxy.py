"""A reverse proxy that serves an app below a path of its own, as a company's web server does."""

import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@contextmanager
def below(url: str, path: str):
    """The address under which an app is had below `path` ("/tools/abn"), which is cut off before it is asked."""
    upstream = urlsplit(url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self):
            if not self.path.startswith(path + "/"):
                self.send_response(204 if self.path == "/favicon.ico" else 404)
                self.end_headers()
                return
            connection = http.client.HTTPConnection(upstream.hostname, upstream.port, timeout=60)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            headers |= {"X-Forwarded-Host": self.headers["host"], "X-Forwarded-Proto": "http"}
            connection.request(self.command, self.path.removeprefix(path), body or None, headers)
            answer = connection.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            while part := answer.read1(65536):
                self.wfile.write(part)
                self.wfile.flush()
            connection.close()
            self.close_connection = True

        do_GET = do_POST = do_HEAD = pass_on

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{path}"
    server.shutdown()
    server.server_close()
