"""A stand-in for the Hub's side of deploying a Space: one account, one Space, over HTTP.

Routes, bodies and answers are those that huggingface_hub (src/huggingface_hub/hf_api.py) writes and reads:
`create_repo`, `space_info`, `request_space_hardware`, `set_space_volumes`, `add_space_variable`, `get_space_runtime`,
`_fetch_space_logs_sse`, `list_repo_tree`, and `create_commit` with its `preupload` and its lines of JSON. The 402 is
the sentence of the Hub since July 2026 (huggingface/hub-docs, pull request 2624); a free account may have two ZeroGPU
Spaces (docs/hub/spaces-zerogpu.md).
"""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

from json_server import JsonHandler

NEEDS_PRO = (
    "Static Spaces are free for everyone, but hosting Gradio and Docker Spaces on free cpu-basic requires a PRO "
    "subscription"
)
TOO_MANY = "You have reached the maximum number of ZeroGPU Spaces for your account"
OID = "89abcdef0123456789abcdef0123456789abcdef"


class Account:
    """What the Hub knows and was told.

    token: which one may write. zero_spaces: other ZeroGPU Spaces of the account. name: the Space's; exists: whether
    it is there; sdk: of which kind.
    stages: what is said of the Space after the push, look by look; the last one stays. hardware, volumes, variables,
    private: the Space's. files: path -> bytes, as committed. models: model
    repository -> (private, files). asked: (method, path, body), in order. answers: path ->
    (status, body) in place of the right answer. outages: looks at the stage that are answered by 503.
    """

    def __init__(
        self,
        *,
        zero_spaces=0,
        name="you/abn",
        exists=False,
        sdk="gradio",
        hardware=None,
        stages=("BUILDING", "APP_STARTING", "RUNNING"),
    ):
        self.name, self.sdk = name, sdk
        self.token, self.zero_spaces, self.exists = "hf_write", zero_spaces, exists
        self.stages, self.hardware = list(stages), hardware
        self.volumes, self.variables, self.private, self.files, self.asked = [], {}, False, {}, []
        self.build_log, self.run_log, self.answers = [], [], {}
        self.models: dict[str, tuple[bool, dict[str, bytes]]] = {}
        self.sha = "0" * 40 if exists else None
        self.looks = self.outages = 0

    def create(self, asked: dict) -> tuple[int, dict]:
        if asked["organization"] not in (None, "you"):
            words = f'You don\'t have the rights to create a space under the namespace "{asked["organization"]}"'
            return 403, {"error": words}
        if asked.get("type", "model") == "model":
            name = f"you/{asked['name']}"
            if name in self.models:
                return 409, {"error": "You already created this model repo", "url": f"{self.url}/{name}"}
            self.models[name] = asked.get("visibility") == "private", {}
            return 200, {"url": f"{self.url}/{name}", "name": name}
        hardware = asked.get("hardware", "cpu-basic")
        if hardware == "cpu-basic" and asked["sdk"] != "static":
            return 402, {"error": NEEDS_PRO}
        if self.exists:
            return 409, {"error": "You already created this space repo", "url": f"{self.url}/spaces/{self.name}"}
        if hardware == "zero-a10g" and self.zero_spaces >= 2:
            return 402, {"error": TOO_MANY}
        if hardware not in ("zero-a10g", "t4-small") and asked["sdk"] != "static":
            return 400, {"error": f'"hardware" must be one of [cpu-basic, zero-a10g, t4-small]: {hardware}'}
        if hardware == "t4-small":
            return 402, {"error": "Payment required"}
        if any(volume["source"] != "you/pictures" for volume in asked.get("volumes", ())):
            return 404, {"error": "Bucket not found"}
        self.sdk = asked["sdk"]
        self.exists, self.hardware, self.private = True, hardware, asked.get("visibility") == "private"
        self.volumes = asked.get("volumes", [])
        self.variables = {one["key"]: one["value"] for one in asked.get("variables", ())}
        return 200, {"url": f"{self.url}/spaces/{self.name}", "name": self.name}

    def runtime(self) -> dict:
        stage = self.stages[min(self.looks, len(self.stages) - 1)] if self.files else "RUNNING"
        self.looks += bool(self.files)
        if stage == "RUNNING" and self.files:
            self.sha = OID
        hardware = {"current": self.hardware, "requested": self.hardware}
        return {"stage": stage, "hardware": hardware, "gcTimeout": None, "volumes": self.volumes, "sha": self.sha}


@contextmanager
def space_hub(account: Account):
    """Serve the account; gives the endpoint."""

    class Handler(JsonHandler):
        def do_GET(self):
            self.respond("GET")

        def do_POST(self):
            self.respond("POST")

        def do_PUT(self):
            self.respond("PUT")

        def respond(self, method):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.split("?")[0]
            account.asked.append((method, path, body))
            if self.headers.get("Authorization") != f"Bearer {account.token}":
                return self.say(401, {"error": "Invalid username or password."})
            if path in account.answers:
                return self.say(*account.answers[path])
            if path == "/api/whoami-v2":
                return self.say(200, {"name": "you", "type": "user"})
            if path == "/api/validate-yaml":
                return self.say(200, {"errors": [], "warnings": []})
            if path == "/api/repos/create":
                return self.say(*account.create(json.loads(body)))
            for name, (_, files) in account.models.items():
                if path.startswith(f"/api/models/{name}/") and method == "POST":
                    return self.taken(path.removeprefix(f"/api/models/{name}"), body, files, f"{account.url}/{name}")
            if not path.startswith(f"/api/spaces/{account.name}") or not account.exists:
                self.say(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
                return None
            return self.space(method, path.removeprefix(f"/api/spaces/{account.name}"), body)

        def space(self, method, what, body):
            if method == "GET" and what == "":
                told = {"id": account.name, "author": "you", "private": account.private, "sdk": account.sdk}
                return self.say(200, told)
            if method == "GET" and what == "/tree/main":
                files = account.files.items()
                return self.say(200, [{"type": "file", "path": n, "size": len(c), "oid": OID} for n, c in files])
            if method == "GET" and what == "/runtime" and account.outages:
                account.outages -= 1
                return self.say(503, {"error": "Service Unavailable"})
            if method == "GET" and what == "/runtime":
                return self.say(200, account.runtime())
            if method == "POST" and what == "/hardware":
                account.hardware = json.loads(body)["flavor"]
                return self.say(200, account.runtime())
            if method == "PUT" and what == "/volumes":
                account.volumes = json.loads(body)["volumes"]
                return self.say(200, {})
            if method == "POST" and what == "/variables":
                told = json.loads(body)
                account.variables[told["key"]] = told["value"]
                return self.say(200, {key: {"value": value} for key, value in account.variables.items()})
            if method == "GET" and what in ("/logs/build", "/logs/run"):
                return self.stream(account.build_log if what.endswith("build") else account.run_log)
            if method == "POST":
                return self.taken(what, body, account.files, f"{account.url}/spaces/{account.name}")
            return self.say(404, {"error": f"no such route: {method} {what}"})

        def taken(self, what, body, kept, page):
            """The two steps of an upload into a repository."""
            if what == "/preupload/main":
                files = json.loads(body)["files"]
                told = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]
                return self.say(200, {"files": told})
            if what == "/commit/main":
                for line in filter(None, body.splitlines()):
                    told = json.loads(line)
                    if told["key"] == "file":
                        kept[told["value"]["path"]] = base64.b64decode(told["value"]["content"])
                    if told["key"] == "deletedFile":
                        kept.pop(told["value"]["path"])
                return self.say(200, {"success": True, "commitOid": OID, "commitUrl": f"{page}/commit/{OID}"})
            return self.say(404, {"error": f"no such route: POST {what}"})

        def stream(self, lines):
            """Events as of `/logs/build` and `/logs/run`, with the empty ones that keep the connection."""
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            for line in lines:
                event = json.dumps({"data": f"{line}\n", "timestamp": "2026-09-04T10:00:00.000Z"})
                self.wfile.write(f"data: {event}\n\ndata:\n\n".encode())
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    account.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield account.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
