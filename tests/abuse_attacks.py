"""What visitors have tried on the page, and more: each a function of a `Client` that goes on until its time is over.

An attack need not be answered; what it must not do is harm another. Each is its docstring in the table.
"""

import http.client
import io
import json
import random
import socket
import struct
import threading
import time
import zlib
from contextlib import suppress
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

API = "/gradio_api"
ATTACKS = {}


def attack(function):
    ATTACKS[function.__name__] = function
    return function


class Client:
    """A visitor of an address of his own. web: the bad web server's URL; end: when his time is over."""

    def __init__(self, url: str, address: str, web: str, seconds: float):
        parts = urlsplit(url)
        self.host, self.port, self.address, self.web = parts.hostname, parts.port, address, web
        self.end = time.monotonic() + seconds

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.end

    def connect(self) -> socket.socket:
        channel = socket.create_connection((self.host, self.port), 30, (self.address, 0))
        channel.settimeout(60)
        return channel

    def ask(self, method: str, path: str, body=None, headers=None, *, read: bool = True) -> tuple[int, bytes]:
        """(status, content); (0, nothing) where the connection was closed."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60, source_address=(self.address, 0))
        try:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read() if read else b""
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def post(self, path: str, content) -> tuple[int, bytes]:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.ask("POST", API + path, body, {"Content-Type": "application/json"})

    def join(self, name: str, data: list) -> str | None:
        """The id of a call that was taken."""
        status, answer = self.post(f"/call/{name}", {"data": data})
        return json.loads(answer)["event_id"] if status == 200 else None

    def call(self, name: str, *data) -> str:
        event = self.join(name, list(data))
        return self.ask("GET", f"{API}/call/{name}/{event}")[1].decode() if event else ""

    def upload(self, content: bytes, name: str = "p.png") -> dict | None:
        """The file as an endpoint takes it; None where it was refused."""
        status, answer = self.ask("POST", f"{API}/upload", form(content, name), FORM)
        return {"path": json.loads(answer)[0], "meta": {"_type": "gradio.FileData"}} if status == 200 else None

    def together(self, work, count: int) -> None:
        threads = [threading.Thread(target=lambda: while_(self, work), daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.1, self.end + 5 - time.monotonic()))


def while_(client: Client, work) -> None:
    while client.goes_on:
        with suppress(OSError, ValueError, http.client.HTTPException):
            work()


FORM = {"Content-Type": "multipart/form-data; boundary=BOUND"}


def form(content: bytes, name: str = "p.png", field: str = "files") -> bytes:
    said = f'filename="{name}"' if name else ""
    head = f'--BOUND\r\nContent-Disposition: form-data; name="{field}"; {said}\r\n\r\n'.encode()
    return head + content + b"\r\n--BOUND--\r\n"


def made_up_picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """As `helpers`', which takes PyTorch's time to start."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, kind: str = "PNG", **how) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def data_url(content: bytes, kind: str = "png") -> str:
    import base64

    return f"data:image/{kind};base64," + base64.b64encode(content).decode()


def png_of(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG that says it has so many pixels, of zeros, packed."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer, pixels = zlib.compressobj(9), b""
    row = bytes(1 + width)
    for _ in range(min(height, 60_000_000 // width)):
        pixels += packer.compress(row)
    pixels += packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    middle = b"".join(chunk(b"zTXt", one) for one in chunks)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + middle + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def of_many_scans(side: int = 2000, count: int = 1000) -> bytes:
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00"
    return encoded(made_up_picture(side, side), "JPEG", progressive=True)[:-2] + scan * count + b"\xff\xd9"


SMALL = encoded(made_up_picture(160, 120))

# Bodies


@attack
def json_of_90_mb(client):
    """a JSON of 90 MB"""
    client.together(lambda: client.post("/call/explain", b'{"data": ["' + b"x" * 90_000_000 + b'"]}'), 2)


@attack
def json_of_empty_lists(client):
    """9 MB of "[],": 300 MB of Python"""
    client.together(lambda: client.post("/call/edit", b'{"data": [[' + b"[]," * 3_000_000 + b"0]]}"), 4)


@attack
def json_that_is_deep(client):
    """100,000 brackets within brackets"""
    client.together(lambda: client.post("/call/edit", b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), 4)


@attack
def json_of_numbers(client):
    """a map of 10 million numbers"""
    client.together(lambda: client.post("/call/edit", b'{"data": [null, [' + b"1," * 10_000_000 + b"1]]}"), 2)


@attack
def json_of_objects(client):
    """5 MB of nested objects"""
    client.together(lambda: client.post("/queue/join", b'{"data": [' + b'{"a":{}},' * 500_000 + b"0]}"), 4)


@attack
def numbers_of_400_digits(client):
    """10**400 for every number"""
    picture = client.upload(SMALL)
    client.together(lambda: [client.call(n, picture, [[10**400]] if n == "edit" else 10**400) for n in NAMES], 4)


NAMES = ("explain", "edit", "compare", "models")


@attack
def frame_of_30_mb(client):
    """a frame of 30 MB"""
    client.together(lambda: client.post("/abn/frame", b"\xff\xd8" + bytes(30_000_000)), 4)


@attack
def upload_of_60_mb(client):
    """a file of 60 MB"""
    client.together(lambda: client.ask("POST", f"{API}/upload", form(bytes(60_000_000)), FORM), 2)


@attack
def upload_without_end(client):
    """an upload in pieces that does not end"""

    def pieces():
        yield b'--BOUND\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        while client.goes_on:
            yield bytes(1 << 16)

    headers = FORM | {"Transfer-Encoding": "chunked"}
    client.together(lambda: client.ask("POST", f"{API}/upload", pieces(), headers), 4)


@attack
def upload_of_1000_files(client):
    """1,000 files in an upload"""
    part = b'--BOUND\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nx\r\n'
    client.together(lambda: client.ask("POST", f"{API}/upload", part * 1000 + b"--BOUND--\r\n", FORM), 2)


@attack
def uploads_cut_off(client):
    """uploads that are cut off"""

    def cut():
        with client.connect() as channel:
            head = f"POST {API}/upload HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM['Content-Type']}\r\n"
            channel.sendall(f"{head}Content-Length: 15000000\r\n\r\n".encode() + form(bytes(3_000_000))[:-20])

    client.together(cut, 4)


@attack
def form_field_of_19_mb(client):
    """a form's field, which is held in memory"""
    client.together(lambda: client.ask("POST", f"{API}/upload", form(bytes(19_000_000), ""), FORM), 4)


@attack
def slow_bodies(client):
    """200 bodies that come byte by byte"""

    def slow():
        with client.connect() as channel:
            channel.sendall(f"POST {API}/call/explain HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n".encode())
            while client.goes_on:
                channel.sendall(b"x")
                time.sleep(0.5)

    client.together(slow, 200)


@attack
def slow_heads(client):
    """200 connections that never say what they want"""

    def slow():
        with client.connect() as channel:
            channel.sendall(b"GET / HTTP/1.1\r\nX-A: ")
            while client.goes_on:
                channel.sendall(b"x")
                time.sleep(0.5)

    client.together(slow, 200)


@attack
def large_data_urls_that_wait(client):
    """60 pictures of 20 MB as data URLs, all waiting"""
    url = data_url(random.randbytes(19_000_000))
    body = json.dumps({"data": [url]}).encode()
    client.together(lambda: client.post("/call/explain", body), 12)


# Ways in


@attack
def closed_run(client):
    """/run, which passes by the queue"""
    client.together(
        lambda: [client.post(f"/{way}/{name}", {"data": []}) for way in ("run", "api") for name in NAMES], 8
    )


@attack
def odd_payloads(client):
    """wrong types everywhere"""
    odd = [None, 7, "x", [], {}, [[]], {"path": 7}, {"path": "/etc/passwd"}, 1e308, True, "\0", {"a": [1, {"b": 2}]}]

    def ask():
        name = random.choice((*NAMES, "model", "none"))
        data = random.choice([[random.choice(odd) for _ in range(random.randrange(6))], random.choice(odd)])
        status, answer = client.post(f"/call/{name}", {"data": data})
        if status == 200:
            client.ask("GET", f"{API}/call/{name}/{json.loads(answer)['event_id']}")

    client.together(ask, 8)


@attack
def every_function_of_the_page(client):
    """every private function with odd arguments"""
    count = len(json.loads(client.ask("GET", "/config")[1])["dependencies"])

    def ask():
        what = {"data": [random.choice([None, 7, "x", [], {}]) for _ in range(random.randrange(8))]}
        client.post(
            "/queue/join", what | {"fn_index": random.randrange(count + 3), "session_hash": f"{random.random()}"}
        )

    client.together(ask, 8)


@attack
def every_server_function(client):
    """functions of components by made-up names and numbers"""

    def ask():
        name = random.choice(["explain_frame", "__init__", "preprocess", "postprocess", "__class__"])
        what = {"data": random.choice([None, 7, {}, {"frame": []}]), "fn_name": name, "session_hash": "x"}
        client.post("/component_server", what | {"component_id": random.randrange(300)})

    client.together(ask, 8)


@attack
def sessions_without_end(client):
    """a session of its own for each call"""
    client.together(
        lambda: client.post(
            "/queue/join", {"data": [], "fn_index": 1, "session_hash": f"{random.random()}", "event_data": None}
        ),
        8,
    )


@attack
def unknown_sessions(client):
    """answers of sessions that there are not"""
    client.together(lambda: client.ask("GET", f"{API}/queue/data?session_hash={random.random()}"), 32)


@attack
def heartbeats(client):
    """300 pages kept open"""

    def beat():
        with client.connect() as channel:
            channel.sendall(f"GET {API}/heartbeat/{random.random()} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            while client.goes_on:
                channel.recv(1000)

    client.together(beat, 300)


@attack
def files_of_other_hosts(client):
    """/file= and /proxy= of other hosts"""
    paths = (f"file={client.web}/endless", f"file/{client.web}/endless", f"proxy={client.web}/endless")
    client.together(lambda: [client.ask("GET", f"{API}/{path}") for path in paths], 8)


@attack
def files_of_the_server(client):
    """paths out of the cache"""
    paths = ("file=/etc/passwd", "file=../../../etc/passwd", "file=app.py", "file=//etc/passwd", "file=.env")

    def ask():
        for path in paths:
            assert b"root:" not in client.ask("GET", f"{API}/{path}")[1]

    client.together(ask, 4)


@attack
def tools_of_nonsense(client):
    """nonsense for the MCP server"""
    head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    bodies = (b"{}", b"[" * 20, b"x" * 1_000_000, b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call"}', b"null")
    client.together(lambda: [client.ask("POST", f"{API}/mcp/", body, head) for body in bodies], 4)


@attack
def tools_many_at_a_time(client):
    """64 tool calls at a time"""
    head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    arguments = {"picture": data_url(SMALL), "methods": "score-cam, occlusion"}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "compare", "arguments": arguments}}
    client.together(lambda: client.ask("POST", f"{API}/mcp/", json.dumps(call).encode(), head), 64)


@attack
def pages_without_end(client):
    """the page itself, 32 at a time"""
    client.together(lambda: [client.ask("GET", path) for path in ("/", "/config", f"{API}/info")], 32)


@attack
def websockets(client):
    """websockets, which nothing here speaks"""
    head = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "AAAA", "Sec-WebSocket-Version": "13"}
    client.together(lambda: client.ask("GET", f"{API}/queue/join", headers=head), 8)


@attack
def cancels_of_others(client):
    """/cancel of others' requests"""
    what = {"session_hash": "x", "event_id": "y"}
    client.together(lambda: client.post("/cancel", what | {"fn_index": random.randrange(20)}), 8)


# Pictures


def explained(client, content: bytes, count: int = 4, name: str = "p.png"):
    sent = client.upload(content, name)
    if sent:
        client.together(lambda: client.call("explain", sent), count)


@attack
def png_of_2_gigapixels(client):
    """a PNG that says it has 45,000 x 45,000 pixels"""
    explained(client, png_of(45_000, 45_000))


@attack
def png_of_52_megapixels(client):
    """the largest picture that is allowed, 16 at a time"""
    explained(client, png_of(8000, 6500), 16)


@attack
def png_with_packed_text(client):
    """a PNG whose text unpacks to 100 MB, 8 times"""
    text = b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9)
    explained(client, png_of(100, 100, *[text] * 8))


@attack
def jpeg_of_1000_scans(client):
    """a JPEG of 1,000 scans"""
    explained(client, of_many_scans(), 16, "p.jpg")


@attack
def jpeg_of_50_scans(client):
    """as many scans as are allowed, 16 at a time"""
    explained(client, of_many_scans(3000, 38), 16, "p.jpg")


@attack
def gif_of_many_frames(client):
    """a GIF of 300 frames"""
    frames = [made_up_picture(400, 300, seed=seed).quantize(8) for seed in range(30)] * 10
    explained(client, encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), 8, "p.gif")


@attack
def tiff_of_many_pages(client):
    """a packed TIFF of 40 megapixels"""
    explained(client, encoded(Image.new("RGB", (8000, 5000)), "TIFF", compression="tiff_lzw"), 8, "p.tif")


@attack
def webp_of_50_megapixels(client):
    """a WebP of 50 megapixels"""
    explained(client, encoded(Image.new("RGB", (7000, 7000)), "WEBP", method=0), 8, "p.webp")


@attack
def strip_of_a_pixel(client):
    """a picture of 1 x 50,000 pixels"""
    explained(client, png_of(50_000, 1), 8)


@attack
def cut_pictures(client):
    """pictures cut in the middle"""
    content = encoded(made_up_picture(2000, 1500), "JPEG")
    explained(client, content[: len(content) // 2], 8, "p.jpg")


# The Live tab


def frames(client, content: bytes, count: int):
    head = {"Content-Type": "image/jpeg"}
    client.together(lambda: client.ask("POST", f"{API}/abn/frame?model=&language=en", content, head), count)


@attack
def cameras(client):
    """60 cameras"""
    frames(client, encoded(made_up_picture(320, 240), "JPEG"), 60)


@attack
def frames_of_many_scans(client):
    """40 progressive frames at a time"""
    frames(client, of_many_scans(1500, 200), 40)


@attack
def frames_of_4_megapixels(client):
    """40 of the largest frames at a time"""
    frames(client, encoded(made_up_picture(2000, 2000), "JPEG", quality=60), 40)


# Pictures by URL


def urls(client, path: str, count: int = 8):
    client.together(lambda: client.call("explain", f"{client.web}{path}"), count)


@attack
def url_without_end(client):
    """a URL whose body does not end"""
    urls(client, "/endless")


@attack
def url_that_is_slow(client):
    """16 URLs that come byte by byte"""
    urls(client, "/slow", 16)


@attack
def url_that_unpacks(client):
    """a URL of gzip that unpacks to 300 MB"""
    urls(client, "/packed")


@attack
def url_to_the_inside(client):
    """redirects to the inside, and round and round"""
    urls(client, "/private", 4)
    urls(client, "/round", 4)


@attack
def url_of_the_inside(client):
    """addresses of the inside, in every spelling"""
    hosts = ("10.0.0.1", "169.254.169.254", "100.64.0.1", "[::1]", "0x7f.2", "2130706434", "[::ffff:10.0.0.1]")
    client.together(lambda: [client.call("explain", f"http://{host}/") for host in hosts], 4)


@attack
def url_in_another_argument(client):
    """a URL where no picture belongs"""
    hidden = {"path": f"{client.web}/endless", "meta": {"_type": "gradio.FileData"}}
    client.together(lambda: client.call("edit", client.upload(SMALL), [[hidden]]), 4)
    client.together(lambda: client.call("compare", hidden, hidden, hidden), 4)


# Strangers' checkpoints


def asked_of(name: str, words: str, count: int = 4):
    def model(client):
        picture = client.upload(SMALL)
        client.together(lambda: client.call("explain", picture, 1.0, "whole", f"bad/{name}"), count)

    model.__name__, model.__doc__ = f"model_{name}", words
    attack(model)


for name, words in {
    "huge": "27 kB of config for 9 GB",
    "tokens": "a transformer of a million tokens",
    "heads": "a transformer of a million heads",
    "quantised": "a config that asks for quantisation",
    "attention": "a config that asks for another attention",
    "wide": "a network 16 times as wide as its weights",
    "deep": "a network of 1,298 layers",
    "size": "a processor of size 30000.0",
    "bare": "a processor that makes nothing smaller",
    "crop": "a crop of 2,048 x 2,048",
    "classes": "50,000 classes",
    "names": "names of 900,000 letters",
    "metrics": "a metrics.json of 10**400",
    "infinite": "weights that give no numbers",
    "cut": "weights that are none",
    "nonsense": "a config of 50,000 brackets",
    "good": "a good one, again and again",
}.items():
    asked_of(name, words)


@attack
def model_ids_that_never_answer(client):
    """32 requests for ids whose Hub is silent"""
    picture = client.upload(SMALL)
    client.together(lambda: client.call("explain", picture, 1.0, "whole", f"slow/{random.random()}"), 32)


@attack
def model_ids_without_end(client):
    """a new id with each request"""
    client.together(lambda: client.call("models", f"bad/{random.random()}"), 8)


# Fairness


@attack
def flood_of_explains(client):
    """206 calls at once"""
    picture = client.upload(SMALL)
    client.together(lambda: client.call("explain", picture), 206)


@attack
def flood_of_12_megapixels(client):
    """64 photos of 12 megapixels at once"""
    picture = client.upload(encoded(made_up_picture(4000, 3000), "JPEG"), "p.jpg")
    client.together(lambda: client.call("explain", picture), 64)


@attack
def flood_of_comparisons(client):
    """Score-CAM and occlusion, 32 at a time"""
    picture = client.upload(SMALL)
    client.together(lambda: client.call("compare", picture, "score-cam, occlusion"), 32)


@attack
def flood_of_edits(client):
    """edits, 64 at a time"""
    picture = client.upload(SMALL)
    client.together(lambda: client.call("edit", picture), 64)


@attack
def comparisons_that_nobody_waits_for(client):
    """comparisons whose client leaves at once"""
    picture = client.upload(SMALL)

    def leave():
        event = client.join("compare", [picture, "score-cam, occlusion"])
        if event:
            with client.connect() as channel:
                channel.sendall(f"GET {API}/call/compare/{event} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                channel.recv(100)

    client.together(leave, 8)


@attack
def answers_that_nobody_reads(client):
    """calls whose answers nobody comes for"""
    picture = client.upload(SMALL)
    client.together(lambda: client.join("explain", [picture]), 16)


@attack
def uploads_without_end(client):
    """uploads of 15 MB, one after the other"""
    client.together(lambda: client.upload(bytes(15_000_000)), 4)
