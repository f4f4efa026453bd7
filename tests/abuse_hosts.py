"""The other hosts of `abuse`: a Hub of bad checkpoints, and a web server that misbehaves."""

import gzip
import hashlib
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import torch
from helpers import tiny_model, vision_transformer
from hub_stand_in import COMMIT
from safetensors.torch import load_file, save_file

from abn import AbnImageProcessor


def write_checkpoints(root: Path) -> None:
    """Bad checkpoints, as `bad/NAME` on the Hub."""

    def abn(name: str, config=(), processor=()) -> Path:
        folder = root / name
        tiny_model().save_pretrained(folder)
        size = {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}}
        AbnImageProcessor(**size).save_pretrained(folder)
        for file, fields in (("config.json", dict(config)), ("preprocessor_config.json", dict(processor))):
            (folder / file).write_text(json.dumps({**json.loads((folder / file).read_text()), **fields}))
        return folder

    def vit(name: str, labels: int = 5, **config) -> Path:
        folder = root / name
        vision_transformer(labels=labels).save_pretrained(folder)
        file = folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **config}))
        return folder

    abn("good")
    vit("huge", hidden_size=2048, num_hidden_layers=48, intermediate_size=8192)
    vit("tokens", image_size=1024, patch_size=1)
    vit("heads", num_attention_heads=10**6)
    vit("quantised", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    vit("attention", _attn_implementation="flash_attention_3")
    abn("wide", {"width": 1024})
    abn("deep", {"arch": "resnet1298-cifar"})
    abn("size", processor={"size": {"shortest_edge": 30000.0}})
    abn("bare", processor={"do_resize": False, "do_center_crop": False})
    abn("crop", processor={"crop_size": {"height": 2048, "width": 2048}})
    vit("classes", labels=50_000)
    abn("names", {"id2label": {str(i): f"{i}" + "x" * 900_000 for i in range(10)}, "label2id": None})
    metrics = abn("metrics")
    (metrics / "metrics.json").write_text('{"top1": 1' + "0" * 400 + ', "pictures": 1' + "0" * 400 + "}")
    infinite = abn("infinite")
    weights = load_file(infinite / "model.safetensors")
    weights["model.perception_branch.fc.weight"] = torch.full_like(weights["model.perception_branch.fc.weight"], 1e38)
    save_file(weights, infinite / "model.safetensors", metadata={"format": "pt"})
    (abn("cut") / "model.safetensors").write_bytes(b"\xff" * 1000)
    (abn("nonsense") / "config.json").write_text("[" * 50_000)


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass


@contextmanager
def _served(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def bad_hub(root: Path):
    """bad/NAME is what `write_checkpoints` wrote; slow/… never answers."""

    class Hub(_Quiet):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            parts = self.path.split("?")[0].split("/")
            if parts[1] == "slow":
                time.sleep(60)
                self.close_connection = True
                return
            file = root / parts[2] / parts[-1] if parts[1] == "bad" and len(parts) > 4 else root / "none"
            found = file.is_file()
            content = file.read_bytes() if found else b""
            self.send_response(200 if found else 404)
            if found:
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
            else:
                self.send_header("X-Error-Code", "EntryNotFound" if (root / parts[2]).is_dir() else "RepoNotFound")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

    with _served(Hub) as url:
        yield url


@contextmanager
def bad_web():
    """/endless, /slow, /packed, /private (a redirect to this machine's insides), /round."""

    class Web(_Quiet):
        def do_GET(self):
            path = self.path.split("?")[0]
            if path in ("/private", "/round"):
                self.send_response(302)
                self.send_header("Location", "http://10.0.0.1/" if path == "/private" else "/round")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            if path == "/packed":
                content = gzip.compress(bytes(300_000_000), 9)
                self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                return
            self.end_headers()
            self.close_connection = True
            try:
                while True:
                    self.wfile.write(bytes(1 << 16) if path == "/endless" else b"x")
                    if path != "/endless":
                        time.sleep(0.2)
            except OSError:
                pass

    with _served(Web) as url:
        yield url
