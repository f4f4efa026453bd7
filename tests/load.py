"""Many clients at once against a server of its own: nothing lost, nothing mixed up, and how long each waited.

python tests/load.py                                             # 32 clients x 20 requests
python tests/load.py --clients 1 --requests 2000                 # memory over a long run
python tests/load.py --clients 64 --requests 10 --megapixels 12  # each uploads a camera's photo with each request
python tests/load.py --clients 64 --requests 10 --megapixels 12 --together   # all from one address

Each client has an address of its own. Beside them a bystander asks once a second, as in `abuse`.
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

from abuse import SPAWN, Watcher, percentile, resident, shares_of, stand_by
from abuse_attacks import Client
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


def encoded(seed: int, megapixels: float) -> bytes:
    """A small PNG, or a camera's JPEG."""
    out = io.BytesIO()
    if megapixels:
        side = round((megapixels * 1e6 / 12) ** 0.5)
        made_up_picture(4 * side, 3 * side, seed=seed).save(out, "JPEG", quality=90)
    else:
        made_up_picture(160 + 40 * (seed % 2), 120, seed=seed).save(out, "PNG")
    return out.getvalue()


def right(found: dict, expected: dict) -> bool:
    return all(abs(found[name] - share) < 1e-3 for name, share in expected.items())


def explained(client: Client, path: dict) -> dict:
    """The classes' confidences. Raises: ValueError: there was another answer, or none."""
    return shares_of(client.call("explain", path))


def run(clients: int, requests: int, megapixels: float = 0.0, together: bool = False) -> dict:
    """Lost and wrong answers, the requests a second, the waiting times in seconds, and memory in MB."""
    explainer = Explainer.from_pretrained("compact", device="cpu")
    contents = [encoded(seed, megapixels) for seed in range(PICTURES)]
    with tempfile.TemporaryDirectory() as tmp:
        names = []
        for place, content in enumerate(contents):
            names.append(Path(tmp, f"{place}.{'jpg' if megapixels else 'png'}"))
            names[-1].write_bytes(content)
        expected = [explainer(name, view="whole").probabilities for name in names]
        with started(Path(tmp), "--checkpoint", "compact", "--imagenette-root", tmp) as (process, url, log):
            return _run(clients, requests, together, bool(megapixels), contents, expected, process.pid, url, log)


def _run(clients, requests, together, each, contents, expected, server, url, log) -> dict:
    def of(number: int) -> Client:
        return Client(url, "127.0.3.1" if together else f"127.0.3.{number + 1}", "", 1e9)

    paths = [of(0).upload(content) for content in contents]
    alone = []
    for place in range(20):
        one = time.perf_counter()
        assert right(explained(of(0), paths[place % PICTURES]), expected[place % PICTURES])
        alone.append(time.perf_counter() - one)
    waits, ended, lost, wrong, warm = [], [], [], [], []
    start = threading.Barrier(clients, action=lambda: warm.append(resident(server)))

    def work(number: int) -> None:
        client = of(number)
        for turn in range(0 if each else -(-WARM // clients)):
            explained(client, paths[(number + turn) % PICTURES])
        start.wait()
        for turn in range(requests):
            place = (7 * number + turn) % PICTURES
            one = time.perf_counter()
            try:
                found = explained(client, client.upload(contents[place], "p.jpg") if each else paths[place])
            except Exception as error:
                lost.append(repr(error)[:200])
                continue
            ended.append(time.perf_counter())
            waits.append(ended[-1] - one)
            if not right(found, expected[place]):
                wrong.append(place)

    over, asked, watcher = SPAWN.Event(), SPAWN.Queue(), Watcher(server)
    bystander = SPAWN.Process(target=stand_by, args=(url, over, asked), daemon=True)
    bystander.start()
    asked.get(timeout=120)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    bystander.join(120)
    watcher.stop()
    beside = []
    while not asked.empty():
        beside.append(asked.get())
    return {
        "requests": clients * requests,
        "lost": len(lost),
        "first_lost": lost[:1],
        "wrong": len(wrong),
        "per_second": len(waits) / (ended[-1] - ended[0]) if len(ended) > 1 else 0.0,
        "alone_per_second": 1 / statistics.mean(alone),
        "p50": statistics.median(waits),
        "p95": percentile(waits),
        "bystander_p50": statistics.median(one[1] for one in beside),
        "bystander_p95": percentile([one[1] for one in beside]),
        "bystander_wrong": [one[2] for one in beside if one[2]],
        "peak_mb": watcher.peak / 1e6,
        "grown_mb": (resident(server) - warm[0]) / 1e6,
        "traces": log.read_text().count("Traceback"),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--megapixels", type=float, default=0, help="of each photo; 0: small pictures, uploaded once")
    parser.add_argument("--together", action="store_true", help="from one address, as a class behind one router")
    args = parser.parse_args()
    print(json.dumps(run(args.clients, args.requests, args.megapixels, args.together), indent=2))
