"""What the stand-ins that answer in JSON share."""

import json
from http.server import BaseHTTPRequestHandler


class JsonHandler(BaseHTTPRequestHandler):
    """Keeps connections open, writes no log, and says answers in JSON."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def say(self, code, answer, headers=()):
        body = json.dumps(answer).encode()
        self.send_response(code)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
