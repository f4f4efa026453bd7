"""A small local Hub for tests: serves one repository over HTTP, well or badly, or takes what is pushed."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants

REPO = "someone/abn"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODES = ("ok", "missing", "error", "hang", "short", "cut", "stall")


@contextmanager
def hub(folder: Path, repo_id: str = REPO, mode: str = "ok", token: str | None = None, private: bool = False):
    """Serve `folder` as `repo_id`; gives the endpoint's URL.

    token: the only one that it knows. Another gets the Hub's 401, for public repositories, too: without X-Error-Code,
    with the message that huggingface_hub tells it by (`hf_raise_for_status` in src/huggingface_hub/utils/_http.py of
    huggingface/huggingface_hub, and its pull request 2847). private: without it, the repository is not found: 401
    with X-Error-Code RepoNotFound, as the same function reads it.
    mode: "missing" answers 404, "error" 500, "hang" nothing at all; "short" serves consistent but truncated weights,
    "cut" closes the connection in mid-file, "stall" stops sending there without closing.
    """
    assert mode in MODES
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            if mode == "hang":
                released.wait(120)
                self.close_connection = True
                return
            sent = self.headers.get("Authorization")
            if sent is not None and sent != f"Bearer {token}":
                self.refuse({"X-Error-Message": "Invalid credentials in Authorization header"}, body)
                return
            if private and sent is None:
                self.refuse({"X-Error-Code": "RepoNotFound", "X-Error-Message": "Invalid username or password."}, body)
                return
            file = self.file()
            if mode == "error" or file is None or mode == "missing":
                code = 500 if mode == "error" else 404
                self.send_response(code)
                if code == 404:
                    self.send_header("X-Error-Code", "RepoNotFound" if mode == "missing" else "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = file.read_bytes()
            weights = file.suffix == ".safetensors"
            if mode == "short" and weights:
                content = content[: len(content) // 2]
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if not body:
                return
            if mode in ("cut", "stall") and weights:
                self.wfile.write(content[: len(content) // 3])
                self.wfile.flush()
                if mode == "stall":
                    released.wait(120)
                self.close_connection = True
                return
            self.wfile.write(content)

        def refuse(self, headers: dict[str, str], body: bool) -> None:
            content = json.dumps({"error": headers["X-Error-Message"]}).encode()
            self.send_response(401)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

        def file(self) -> Path | None:
            prefix = f"/{repo_id}/resolve/"
            if not self.path.startswith(prefix):
                return None
            file = folder / self.path[len(prefix) :].split("/", 1)[1].split("?")[0]
            return file if file.is_file() else None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        released.set()
        server.shutdown()
        server.server_close()


def endpoint(monkeypatch, url):
    """Ask the stand-in at `url` in place of the Hub."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
    template = huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE
    monkeypatch.setattr(
        huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + template[template.index("/{repo_id}") :]
    )


@contextmanager
def accepting_hub(folder: Path, account: str = "someone", refuses: str | None = None):
    """A Hub where `account` is logged in, which keeps what is pushed in `folder`/ACCOUNT/NAME; gives its URL.

    It answers what `create_repo` and `upload_folder` ask for (huggingface_hub/hf_api.py and _commit_api.py,
    github.com/huggingface/huggingface_hub); no file is large here.

    Args:
        refuses: answer with 403 to what has this in its path.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if refuses and refuses in self.path:
                self.answer({"error": "You don't have the rights"}, 403)
            elif self.path == "/api/repos/create":
                asked = json.loads(body)
                name = f"{asked['organization'] or account}/{asked['name']}"
                known = (folder / name).is_dir()
                (folder / name).mkdir(parents=True, exist_ok=True)
                self.answer({"url": f"{url()}/{name}"}, 409 if known else 200)
            elif self.path == "/api/validate-yaml":
                self.answer({"errors": [], "warnings": []})
            elif "/preupload/" in self.path:
                files = [{"path": file["path"], "uploadMode": "regular"} for file in json.loads(body)["files"]]
                self.answer({"files": [{**file, "shouldIgnore": False} for file in files]})
            elif "/commit/" in self.path:
                name = self.path.removeprefix("/api/models/").split("/commit/")[0]
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        file = folder / name / line["value"]["path"]
                        file.parent.mkdir(parents=True, exist_ok=True)
                        file.write_bytes(base64.b64decode(line["value"]["content"]))
                self.answer({"success": True, "commitOid": COMMIT, "commitUrl": f"{url()}/{name}/commit/{COMMIT}"})
            else:
                self.answer({"error": f"unexpected {self.path}"}, 404)

        def do_GET(self):
            self.answer({"error": "not found"}, 404)

        def answer(self, content: dict, code: int = 200) -> None:
            encoded = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

    def url() -> str:
        return f"http://127.0.0.1:{server.server_port}"

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield url()
    finally:
        server.shutdown()
        server.server_close()
