"""Many clients at once against a server of its own: nothing lost, nothing mixed up, and how long each waited.

python tests/load.py                                   # 32 clients x 20 requests
python tests/load.py --clients 1 --requests 2000       # memory over a long run
"""

import argparse
import io
import json
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from helpers import made_up_picture
from server import started

from abn import Explainer

PICTURES = 24
WARM = 256  # requests of all clients together that are not measured: as many sessions as the server keeps, and more


def post(url: str, body: bytes, kind: str) -> bytes:
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return answer.read()


def upload(url: str, content: bytes) -> str:
    """The path under which the server keeps the file."""
    mark = uuid.uuid4().hex
    head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="p.png"\r\n\r\n'.encode()
    body = head + content + f"\r\n--{mark}--\r\n".encode()
    return json.loads(post(f"{url}/gradio_api/upload", body, f"multipart/form-data; boundary={mark}"))[0]


def explain(url: str, path: str) -> dict:
    """The classes' confidences of one picture."""
    data = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}, 0.5, "whole"]}
    event = json.loads(post(f"{url}/gradio_api/call/explain", json.dumps(data).encode(), "application/json"))
    with urllib.request.urlopen(f"{url}/gradio_api/call/explain/{event['event_id']}", timeout=300) as answer:
        text = answer.read().decode()
    kind, content = text.strip().split("\n")[-2:]
    if kind != "event: complete":
        raise RuntimeError(text)
    label = json.loads(content.removeprefix("data: "))[0]
    return {entry["label"]: entry["confidence"] for entry in label["confidences"]}


def memory(pid: int) -> float:
    """Resident megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def right(found: dict, expected: dict) -> bool:
    return all(abs(found[name] - share) < 1e-3 for name, share in expected.items())


def run(clients: int, requests: int) -> dict:
    """Lost and wrong answers, the requests a second, and the waiting times in seconds."""
    explainer = Explainer.from_pretrained("compact", device="cpu")
    pictures = [made_up_picture(160 + 40 * (seed % 2), 120, seed=seed) for seed in range(PICTURES)]
    expected = [explanation.probabilities for explanation in explainer(pictures, view="whole")]
    with (
        tempfile.TemporaryDirectory() as tmp,
        started(Path(tmp), "--checkpoint", "compact", "--imagenette-root", tmp) as (process, url, log),
    ):
        server = process.pid
        paths = []
        for picture in pictures:
            out = io.BytesIO()
            picture.save(out, "PNG")
            paths.append(upload(url, out.getvalue()))
        alone = []
        for place in range(20):
            one = time.perf_counter()
            assert right(explain(url, paths[place % PICTURES]), expected[place % PICTURES])
            alone.append(time.perf_counter() - one)
        waits, ended, lost, wrong, warm = [], [], [], [], []
        together = threading.Barrier(clients, action=lambda: warm.append(memory(server)))

        def client(number: int) -> None:
            for turn in range(-(-WARM // clients)):
                explain(url, paths[(number + turn) % PICTURES])
            together.wait()
            for turn in range(requests):
                place = (7 * number + turn) % PICTURES
                one = time.perf_counter()
                try:
                    found = explain(url, paths[place])
                except Exception as error:
                    lost.append(repr(error)[:200])
                    continue
                ended.append(time.perf_counter())
                waits.append(ended[-1] - one)
                if not right(found, expected[place]):
                    wrong.append(place)

        threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {
            "requests": clients * requests,
            "lost": len(lost),
            "first_lost": lost[:1],
            "wrong": len(wrong),
            "per_second": len(waits) / (ended[-1] - ended[0]) if len(ended) > 1 else 0.0,
            "alone_per_second": 1 / statistics.mean(alone),
            "p50": statistics.median(waits),
            "p95": sorted(waits)[int(0.95 * len(waits))],
            "grown_mb": memory(server) - warm[0],
            "traces": log.read_text().count("Traceback"),
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=20)
    args = parser.parse_args()
    print(json.dumps(run(args.clients, args.requests), indent=2))
