"""Attacks that the gate was not built against: written after it stood, without a look at its numbers."""

import gzip
import io
import json
import random
import socket
import zlib
from contextlib import suppress
from urllib.parse import quote

import numpy as np
from abuse_attacks import API, ATTACKS, FORM, SMALL, attack, data_url, encoded, explained, made_up_picture, png_of
from PIL import Image

BEFORE = len(ATTACKS)
JSON = {"Content-Type": "application/json"}
PAGE = ("explain", "share", "examples", "edit", "compare", "gallery", "use", "about")


@attack
def shares_without_end(client):
    """a link to a kept picture, pressed without end"""
    picture = client.upload(encoded(made_up_picture(1200, 900), "JPEG", quality=90), "p.jpg")
    client.together(lambda: client.call("page_share", {"picture": {"upload": picture["path"]}}), 16)


@attack
def page_questions_of_nonsense(client):
    """the page's own questions with odd values"""
    odd = [None, True, -1, 1e308, "", "x" * 400, [], {}, [[]], {"upload": "/etc/passwd"}, {"share": "../../etc/passwd"}]
    keys = (
        "picture",
        "model",
        "view",
        "method",
        "target",
        "map",
        "strokes",
        "layer",
        "head",
        "task",
        "preview",
        "page",
    )

    def ask():
        values = {key: random.choice(odd) for key in random.sample(keys, 6)}
        client.call(f"page_{random.choice(PAGE)}", values)

    client.together(ask, 8)


@attack
def progress_of_uploads(client):
    """300 streams of the progress of uploads that there are not"""
    client.together(lambda: client.ask("GET", f"{API}/upload_progress?upload_id={random.random()}"), 300)


@attack
def files_of_the_page_without_end(client):
    """the page's scripts and pictures, 48 at a time"""
    names = [part.split(b'"')[0].decode() for part in client.ask("GET", "/")[1].split(b"/gradio_api/abn/")[1:]]
    paths = [f"{API}/abn/{name}" for name in names] or [f"{API}/abn/page.js"]
    client.together(lambda: [client.ask("GET", path) for path in paths], 48)


@attack
def answers_read_slowly(client):
    """scripts and schemas asked for on 200 connections and read a byte at a time"""

    def read():
        with client.connect() as channel:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            channel.sendall(f"GET {API}/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 5)
            while client.goes_on:
                channel.recv(1)

    client.together(read, 200)


@attack
def requests_in_a_pipe(client):
    """thousands of requests on one connection, sent before any answer is read"""

    def send():
        with client.connect() as channel:
            channel.sendall(b"GET /config HTTP/1.1\r\nHost: a\r\n\r\n" * 2000)
            while client.goes_on and channel.recv(65536):
                pass

    client.together(send, 8)


@attack
def heads_of_megabytes(client):
    """headers, cookies and addresses without end"""

    def ask():
        client.ask("GET", "/", headers={f"X-{i}": "a" * 8000 for i in range(90)})
        client.ask("GET", "/?" + "a=b&" * 15_000)
        client.ask("GET", "/", headers={"Cookie": "a=b; " * 10_000})
        client.ask("GET", f"{API}/file=" + "../" * 10_000)

    client.together(ask, 8)


@attack
def methods_of_every_kind(client):
    """methods, paths and lengths that are none"""
    lines = (
        b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://10.0.0.1/ HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n",
        b"POST /gradio_api/call/explain HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /gradio_api/upload HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
        b"GET /%00%ff%2e%2e%2f HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    )

    def ask():
        with client.connect() as channel:
            channel.settimeout(1)
            channel.sendall(random.choice(lines))
            with suppress(TimeoutError):
                channel.recv(2000)

    client.together(ask, 16)


@attack
def bodies_in_gzip(client):
    """bodies that say they are packed, and unpack to 300 MB"""
    packed = gzip.compress(bytes(300_000_000))
    head = JSON | {"Content-Encoding": "gzip"}
    client.together(
        lambda: [client.ask("POST", f"{API}{path}", packed, head) for path in ("/call/explain", "/mcp/", "/abn/frame")],
        4,
    )


@attack
def texts_of_no_language(client):
    """halves of surrogate pairs, zeros, NaN, bytes that are no UTF-8, numbers of 10,000 digits"""
    bodies = [
        b'{"data": ["\\ud800"]}',
        b'{"data": ["\\u0000/etc/passwd"]}',
        b'{"data": [NaN, Infinity, -Infinity]}',
        b'{"data": ["\xff\xfe"]}',
        b'{"data": [' + b"9" * 10_000 + b"]}",
        b'{"data": [1e999999999]}',
        b'{"data": [{"path": "\\ud800", "meta": {"_type": "gradio.FileData"}}]}',
        b'{"data": [], "data": [[]], "fn_index": -1, "batched": true, "trigger_id": 1e9, "session_hash": {"a": 1}}',
        b"\xef\xbb\xbf{}",
        b'"' + b"\\u0041" * 100_000 + b'"',
    ]

    def ask():
        for name in ("explain", "edit", "page_explain", "page_use"):
            status, answer = client.post(f"/call/{name}", random.choice(bodies))
            if status == 200:
                client.ask("GET", f"{API}/call/{name}/{json.loads(answer)['event_id']}")
        client.post("/queue/join", random.choice(bodies))

    client.together(ask, 8)


@attack
def names_of_files(client):
    """uploads with names that are paths, commands, or 5,000 letters long"""
    names = (
        "../../../tmp/x.png",
        "/etc/passwd",
        "a" * 5000 + ".png",
        "\0.png",
        "con.png",
        "$(id).png",
        "x.html",
        "\n.svg",
    )

    def send():
        for name in names:
            with suppress(ValueError):
                client.upload(SMALL, name)

    client.together(send, 8)


@attack
def forms_of_nonsense(client):
    """forms without an end, without parts, of parts within parts"""
    bodies = (b"", b"--BOUND", b"--BOUND\r\n" * 10_000, b"--BOUND\r\nContent-Disposition: x\r\n\r\n" + b"a" * 1_000_000)
    heads = (
        FORM,
        {"Content-Type": "multipart/form-data"},
        {"Content-Type": f"multipart/form-data; boundary={'B' * 7000}"},
    )
    client.together(lambda: client.ask("POST", f"{API}/upload", random.choice(bodies), random.choice(heads)), 8)


@attack
def png_in_seven_passes(client):
    """an interlaced PNG of 50 megapixels at 16 bits a colour"""

    def chunk(name: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(name + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + name + content + crc

    side = 7000
    head = side.to_bytes(4, "big") * 2 + bytes([16, 6, 0, 0, 1])
    packed = zlib.compress(bytes(side * side * 8 + 20_000), 1)
    explained(client, b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b""), 16)


@attack
def avif_of_50_megapixels(client):
    """an AVIF of 40 megapixels, which takes seconds to decode"""
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (500, 800, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((8000, 5000)).save(out, "AVIF", quality=30, speed=10)
    explained(client, out.getvalue(), 16, "p.avif")


@attack
def webp_of_many_frames(client):
    """a WebP of 60 frames of 4 megapixels"""
    frames = [Image.new("RGB", (2000, 2000), (i, 0, 0)) for i in range(60)]
    explained(client, encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], method=0), 16, "p.webp")


@attack
def tiff_that_bites_its_tail(client):
    """TIFFs whose directories point at themselves, or claim 2**31 entries"""
    round_and_round = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\0\1\3\0\1\0\0\0\1\0\0\0" + b"\x08\0\0\0"
    many = b"II*\0\x08\0\0\0" + b"\xff\xff" + bytes(range(256)) * 3000
    for content in (round_and_round, many):
        picture = client.upload(content, "p.tif")
        client.together(lambda picture=picture: client.call("explain", picture), 4)


@attack
def pictures_that_run_programs(client):
    """EPS, SVG and PSD, which other readers hand to programs"""
    for content, name in (
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (w) file\n", "p.eps"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', "p.svg"),
        (b"8BPS\0\1" + bytes(40), "p.png"),
    ):
        picture = client.upload(content, name)
        if picture:
            found = client.call("explain", picture)
            assert "root:" not in found
    client.together(lambda: client.call("explain", data_url(b"<svg/>", "svg+xml")), 8)


@attack
def profiles_of_colours(client):
    """colour profiles and metadata of 15 MB in a small picture"""
    picture = encoded(made_up_picture(300, 200), "PNG", icc_profile=random.randbytes(15_000_000))
    explained(client, picture, 16)
    exif = Image.Exif()
    exif[0x010E] = "a" * 60_000
    explained(client, encoded(made_up_picture(300, 200), "JPEG", exif=exif), 8, "p.jpg")


@attack
def comparisons_of_large_pictures(client):
    """every method on every class of a large picture, 24 at a time"""
    picture = client.upload(encoded(made_up_picture(6000, 4000), "JPEG"), "p.jpg")
    methods = "attention, grad-cam, grad-cam++, score-cam, occlusion, layer-cam, eigen-cam, rise"
    client.together(lambda: client.call("compare", picture, methods), 24)


@attack
def frames_of_nonsense(client):
    """frames that are no pictures, of models that there are not"""
    contents = (b"", b"\xff\xd8", b"\xff\xd8" + bytes(500_000), random.randbytes(900_000), png_of(4000, 4000))

    def send():
        model = random.choice(("", "x", "compact", "../..", "\ud7ff" * 50, "bad/huge"))
        query = f"model={quote(model)}&language={random.choice(('en', 'ja', 'xx', '%00'))}"
        client.ask("POST", f"{API}/abn/frame?{query}", random.choice(contents), {"Content-Type": "image/jpeg"})

    client.together(send, 24)


@attack
def tools_that_stay_open(client):
    """sessions of the MCP server that are begun and left, and streams that are kept open"""
    head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    begin = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
    }

    def stay():
        client.ask("POST", f"{API}/mcp/", json.dumps(begin).encode(), head)
        client.ask("GET", f"{API}/mcp/", headers=head)
        client.ask("GET", f"{API}/mcp/sse", headers=head)

    client.together(stay, 48)


@attack
def links_of_nonsense(client):
    """the page with settings that are none"""
    queries = (
        "model=../../x",
        "picture=%00",
        "alpha=NaN",
        "tab=%3Cscript%3E",
        "share=" + "a" * 3000,
        "view=x&view=y" * 200,
    )
    client.together(lambda: client.ask("GET", f"/?{random.choice(queries)}"), 16)


UNFORESEEN = list(ATTACKS)[BEFORE:]
