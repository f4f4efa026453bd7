"""The gate: what is too much is refused at once, before anything is decoded or queued, and others are let through."""

import asyncio
import gzip
import json
import urllib.error
import urllib.request

import pytest

from abn.space.server import limits, visitors
from abn.space.server.budgets import BODIES, REQUESTS, SECONDS, UPLOADS, Bucket
from abn.space.server.gate import CALL, FRAME, OTHER, UPLOAD, Gate, route_of
from abn.space.server.json_size import within

API = "/gradio_api"


def asked(
    gate: Gate, path: str, body: bytes = b"", *, method="POST", client="192.0.2.1", said=True, headers=(), piece=65536
):
    """(status, the answer's JSON or bytes) of one request. said: whether it says its length first."""
    parts, answers = [body[at : at + piece] for at in range(0, len(body), piece)] or [b""], []
    headers = [*headers, (b"content-length", str(len(body)).encode())] if said else list(headers)
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "client": (client, 1), "app": None}

    async def receive():
        if not parts:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message):
        answers.append(message)

    asyncio.run(gate(scope, receive, send))
    content = b"".join(answer.get("body", b"") for answer in answers)
    return answers[0]["status"], json.loads(content) if content[:1] == b"{" else content


async def echoing(scope, receive, send):
    """An app that gives the length of what it was sent."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


@pytest.fixture
def gate():
    return Gate(echoing, lambda app, visitor: (0, 0))


@pytest.fixture(autouse=True)
def full_budgets():
    for bucket in (SECONDS, REQUESTS, BODIES, UPLOADS):
        bucket._held.clear()


def test_what_is_allowed_arrives_whole(gate):
    body = json.dumps({"data": ["x" * 20_000_000]}).encode()
    assert asked(gate, f"{API}/call/explain", body) == (200, str(len(body)).encode())
    assert asked(gate, f"{API}/upload", b"\0" * 19_000_000) == (200, b"19000000")
    assert asked(gate, "/", method="GET") == (200, b"0")


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize(
    ("path", "most"),
    [("/call/explain", "30 MB"), ("/abn/frame", "2 MB"), ("/upload", "20.1 MB"), ("/cancel", "10,000 bytes")],
)
def test_a_large_body_is_refused(gate, path, most, said):
    route = route_of(API + path)
    assert route in (CALL, FRAME, UPLOAD, OTHER)
    status, answer = asked(gate, API + path, b"1" * (route.most + 1), said=said)
    assert (status, answer["detail"]) == (413, f"The request is larger than {most}.")


def test_deep_and_long_json_is_refused(gate):
    for body in (b"[" * 13 + b"]" * 13, b"[" + b"0," * 100_001 + b"0]", b"[" + b"[]," * 3_000_000 + b"0]"):
        status, answer = asked(gate, f"{API}/queue/join", body)
        assert status == 413
        assert "100,000 values" in answer["detail"]
    assert asked(gate, f"{API}/queue/join", b"[" * 12 + b"]" * 12)[0] == 200


def test_values_and_depth_are_counted():
    assert within(b'{"a": [1, 2, [3]]}', 3, 5)
    assert not within(b'{"a": [1, 2, [3]]}', 2, 5)
    assert not within(b'{"a": [1, 2, [3]]}', 3, 4)


@pytest.mark.parametrize("piece", [7, 65536])
def test_files_of_an_upload_are_counted(gate, piece):
    part = b'--BOUND\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nx\r\n'
    form = [(b"content-type", b"multipart/form-data; boundary=BOUND")]
    for count, expected in ((16, 200), (17, 413)):
        body = part * count + b"--BOUND--\r\n"
        assert asked(gate, f"{API}/upload", body, headers=form, piece=piece)[0] == expected


def test_who_left_is_not_answered(gate, capsys):
    """A body that breaks off: the server can send nothing any more."""

    async def leaving():
        sent = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]

        async def receive():
            return sent.pop(0)

        async def send(message):
            raise RuntimeError("can't handle event type Response")

        scope = {"type": "http", "method": "POST", "path": f"{API}/upload", "headers": [], "client": None, "app": None}
        await gate(scope, receive, send)

    asyncio.run(leaving())
    assert capsys.readouterr().out == ""


def test_closed_ways_name_the_open_one(gate):
    status, answer = asked(gate, f"{API}/run/explain", b"{}")
    assert status == 404
    assert "/gradio_api/call/explain" in answer["detail"]
    for path in ("/gradio_api/file=http://10.0.0.1/x", "/gradio_api/file=https://a.b/c", "/gradio_api/proxy=http://a"):
        assert asked(gate, path, method="GET")[0] == 404


def test_who_waits_for_too_much_is_told_and_nobody_else():
    waits = {"192.0.2.1": 80, None: 80}
    gate = Gate(echoing, lambda app, visitor: (waits.get(visitor, 0), 0))
    status, answer = asked(gate, f"{API}/call/explain", b"{}")
    assert (status, answer["detail"][:2]) == (429, "80")
    assert asked(gate, f"{API}/call/explain", b"{}", client="192.0.2.2")[0] == 200
    waits |= {"192.0.2.1": 64}
    assert asked(gate, f"{API}/call/explain", b"{}")[0] == 200
    waits[None] = limits.WAITING_IN_ALL
    assert asked(gate, f"{API}/call/explain", b"{}", client="192.0.2.2")[0] == 503


def test_bodies_that_wait_are_weighed():
    held = {"192.0.2.1": limits.BYTES_A_VISITOR - 10_000_000, None: 0}
    gate = Gate(echoing, lambda app, visitor: (1, held.get(visitor, 0)))
    assert asked(gate, f"{API}/call/explain", b"0" * 9_000_000)[0] == 200
    assert asked(gate, f"{API}/call/explain", b"0" * 11_000_000)[0] == 429
    held[None] = limits.BYTES_IN_ALL
    assert asked(gate, f"{API}/call/explain", b"0" * 9_000_000, client="192.0.2.2")[0] == 503


def test_a_visitors_bytes_a_minute_are_counted(gate, monkeypatch):
    monkeypatch.setattr("abn.space.server.gate.BODIES", Bucket(50_000, 60, 100_000, now=lambda: 0.0))
    assert [asked(gate, f"{API}/call/explain", b"0" * 40_000)[0] for _ in range(3)] == [200, 200, 429]
    assert asked(gate, f"{API}/call/explain", b"0" * 40_000, client="192.0.2.2")[0] == 200
    assert asked(gate, f"{API}/call/explain", b"{}")[0] == 200


def test_requests_a_minute_are_counted_but_for_files(gate, monkeypatch):
    requests = Bucket(100, 60, now=lambda: 0.0)
    monkeypatch.setattr("abn.space.server.gate.REQUESTS", requests)
    requests.spend("192.0.2.1", 100)
    for path in ("/config", f"{API}/queue/data"):
        assert asked(gate, path, method="GET")[0] == 429
        assert asked(gate, path, method="GET", client="192.0.2.2")[0] == 200
    for path in ("/assets/index.js", f"{API}/file=/tmp/x.png"):
        assert asked(gate, path, method="GET")[0] == 200


def test_computing_seconds_run_out_and_come_back(gate, monkeypatch):
    seconds = Bucket(limits.SECONDS_A_MINUTE, 60, limits.SECONDS_SAVED, now=lambda: 0.0)
    monkeypatch.setattr("abn.space.server.gate.SECONDS", seconds)
    seconds.spend("192.0.2.1", limits.SECONDS_SAVED + 5)
    status, answer = asked(gate, f"{API}/call/explain", b"{}", headers=[(b"accept-language", b"ja-JP")])
    assert (status, answer["detail"]) == (429, "計算時間を使い切りました。3 秒後にもう一度お試しください。")
    assert asked(gate, f"{API}/call/explain", b"{}", client="192.0.2.2")[0] == 200
    assert asked(gate, "/", method="GET")[0] == 200


def test_a_bucket_fills_by_itself():
    now = [0.0]
    bucket = Bucket(60, 60, most=90, now=lambda: now[0])
    assert bucket.left("a") == 90
    bucket.spend("a", 100)
    assert not bucket.take("a")
    assert bucket.wait("a", 5) == 15
    now[0] = 15
    assert bucket.take("a", 5)
    assert bucket.left("a") == 0
    now[0] = 1000
    assert bucket.left("a") == 90


def test_an_error_of_the_app_is_a_line(capsys):
    async def failing(scope, receive, send):
        raise KeyError(9999)

    status, answer = asked(Gate(failing, lambda app, visitor: (0, 0)), f"{API}/call/explain", b"{}")
    assert (status, answer["detail"]) == (400, "This request cannot be read.")
    out = capsys.readouterr().out
    assert "KeyError: 9999 (test_gate.py:" in out
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    ("client", "forwarded", "name"),
    [
        ("127.0.0.7", None, "127.0.0.7"),
        ("::ffff:8.8.8.8", None, "8.8.8.8"),
        ("2001:db8:1:2:3::4", None, "2001:db8:1:2::/64"),
        ("10.0.0.1", "1.1.1.1, 8.8.4.4, 10.2.3.4", "8.8.4.4"),  # what the visitor wrote stands first
        ("10.0.0.1", "10.2.3.4", "10.2.3.4"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "2a00:1:2:3::9", "2a00:1:2:3::/64"),
        (None, None, "nobody"),
    ],
)
def test_a_visitor_is_an_address(monkeypatch, client, forwarded, name):
    monkeypatch.setenv("SPACE_ID", "someone/abn")
    assert visitors.visitor_of(client, forwarded) == name


def test_only_a_space_believes_the_header(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert visitors.visitor_of("192.0.2.9", "8.8.8.8") == "192.0.2.9"


# The running app


def post(url: str, path: str, content, kind="application/json"):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    request = urllib.request.Request(url + API + path, body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_page_and_config_are_compressed(url):
    for path in ("/", "/config"):
        request = urllib.request.Request(url + path, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
            assert answer.headers["Content-Encoding"] == "gzip"
        assert len(gzip.decompress(content)) > 3 * len(content)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/queue/join", {"data": [1], "fn_index": 9999, "session_hash": "x"}),
        ("/queue/join", {"data": [1], "fn_index": [], "session_hash": {}}),
        ("/call/nothing", {"data": []}),
        ("/call/v2/nothing", {"a": 1}),
        ("/component_server", {"data": 1, "component_id": 9999, "session_hash": "x", "fn_name": "y"}),
        ("/component_server", {"data": 1, "component_id": [], "session_hash": [], "fn_name": 7}),
        ("/run/explain", {"data": []}),
        ("/cancel", {"session_hash": "x", "fn_index": 1, "event_id": "x"}),
        ("/upload", b"no form"),
        ("/call/explain", b"\xff\xfe"),
    ],
)
def test_odd_payloads_are_a_line(running_app, path, content):
    url, log = running_app
    before = log.read_text().count("Traceback")
    status, answer = post(url, path, content)
    assert status < 500
    assert b"Traceback" not in answer
    assert log.read_text().count("Traceback") == before


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("edit", [None, [[10**400]]]),
        ("explain", [7, {}, [], {}]),
        ("explain", {"a": 1}),
        ("compare", [{"path": 7}, 7, [1], "x"]),
        ("models", [[]]),
        ("explain", [{"url": "data:image/png;base64,AAAA"}, 10**400]),
    ],
)
def test_odd_arguments_are_a_line(running_app, name, data):
    url, log = running_app
    before = log.read_text().count("Traceback")
    status, answer = post(url, f"/call/{name}", {"data": data})
    if status == 200:
        with urllib.request.urlopen(f"{url}{API}/call/{name}/{json.loads(answer)['event_id']}", timeout=60) as stream:
            assert "event: error" in stream.read().decode()
    assert log.read_text().count("Traceback") == before
