"""Pictures by URL: of public hosts alone, whatever a redirect or a name server says, and no more than is allowed."""

import asyncio
import gzip
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from abn.space.faults import Fault
from abn.space.server import fetching, limits
from abn.space.server.budgets import Bucket

PICTURE = b"\x89PNG" + bytes(1000)


@contextmanager
def host(answers):
    """A host on this machine; answers: path -> a function of the connection, or the bytes it sends."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked = []

    def serve(channel):
        with channel:
            head = b""
            while b"\r\n\r\n" not in head and (part := channel.recv(4096)):
                head += part
            path = head.split(b" ")[1].decode() if b" " in head else ""
            asked.append(path)
            answer = answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            with suppress(OSError):
                channel.sendall(answer) if isinstance(answer, bytes) else answer(channel)

    def accept():
        while True:
            try:
                channel, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(channel,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    listener.close()


def said(content: bytes, *more: str) -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(content)}", *more])
    return f"{head}\r\n\r\n".encode() + content


@pytest.fixture
def this_machine(monkeypatch):
    """127.0.0.1 counts as public; all else as it is."""
    real = fetching.is_public
    monkeypatch.setattr(fetching, "is_public", lambda address: address == "127.0.0.1" or real(address))


def why(url: str) -> str:
    with pytest.raises(Fault) as caught:
        fetching.fetched(url)
    return str(caught.value)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_the_internets_addresses_are_public(address):
    assert fetching.is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:100.64.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "2001:0:1:2:3:4:5:6",
    ],
)
def test_others_are_not(address):
    assert not fetching.is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/x",
        "http://localhost:1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://100.64.0.1/",
        "ftp://8.8.8.8/x",
        "file:///etc/passwd",
        "gopher://8.8.8.8/",
        "http:///x",
        "http://8.8.8.8:25/",
    ],
)
def test_other_hosts_are_not_asked(url):
    assert "only http and https addresses of the public internet" in why(url)


def test_a_picture_comes_as_it_is(this_machine):
    with host({"/a?b=1": said(PICTURE)}) as (url, _):
        assert fetching.fetched(f"{url}/a?b=1") == PICTURE


def test_a_redirect_is_followed_where_it_may_be_asked(this_machine):
    def to(where):
        return f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()

    answers = {"/there": said(PICTURE), "/one": to("/there"), "/round": to("/round")}
    answers |= {"/inside": to("http://10.0.0.1/x"), "/file": to("file:///etc/passwd")}
    with host(answers) as (url, asked):
        assert fetching.fetched(f"{url}/one") == PICTURE
        assert "public internet" in why(f"{url}/inside")
        assert "public internet" in why(f"{url}/file")
        asked.clear()
        assert "from one address to the next" in why(f"{url}/round")
        assert len(asked) == limits.URL_REDIRECTS + 1


def test_the_address_that_was_checked_is_the_one_that_is_asked(monkeypatch):
    """A name server that gives a public address first and this machine's then."""
    answers = iter([["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]])
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (address, 80)) for address in next(answers)]
    )
    connected = []

    def connect(address, timeout):
        connected.append(address)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", connect)
    assert "does not answer" in why("http://changes.example/x")
    assert connected == [("8.8.8.8", 80)]


def test_one_private_address_among_public_ones_is_enough(monkeypatch):
    found = [(2, 1, 6, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert "public internet" in why("http://both.example/x")


def test_bytes_are_bounded(this_machine, monkeypatch):
    monkeypatch.setattr(limits, "UPLOAD_BYTES", 100_000)

    def endless(channel):
        channel.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            channel.sendall(bytes(65536))

    claimed = b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n"
    packed = said(gzip.compress(bytes(1_000_000)), "Content-Encoding: gzip")
    with host({"/endless": endless, "/claimed": claimed, "/packed": packed, "/fits": said(bytes(100_000))}) as (url, _):
        assert "larger than 0.1 MB" in why(f"{url}/endless")
        assert "larger than 0.1 MB" in why(f"{url}/claimed")
        assert "sends it packed" in why(f"{url}/packed")
        assert len(fetching.fetched(f"{url}/fits")) == 100_000


@pytest.mark.parametrize("where", ["head", "body"])
def test_ten_seconds_are_all_a_host_has(this_machine, monkeypatch, where):
    """Also where a byte comes now and then."""
    monkeypatch.setattr(limits, "URL_SECONDS", 0.5)
    go_on = threading.Event()

    def drip(channel):
        if where == "body":
            channel.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not go_on.wait(0.05):
            channel.sendall(b"X")

    with host({"/": drip}) as (url, _):
        began = time.monotonic()
        words = why(url)
        assert time.monotonic() - began < 3
        go_on.set()
    assert "within 0.5 s" in words


def test_what_a_host_gets_wrong_is_said(this_machine):
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc"
    with host({"/cut": cut, "/nonsense": b"nonsense\r\n\r\n"}) as (url, _):
        assert "answers 404" in why(f"{url}/none")
        assert "does not answer" in why(f"{url}/cut")
        assert "does not answer" in why(f"{url}/nonsense")


def test_no_more_than_so_many_at_a_time(this_machine):
    go_on, now, most = threading.Event(), [], []

    def slow(channel):
        now.append(1)
        most.append(len(now))
        go_on.wait(20)
        now.pop()
        channel.sendall(said(PICTURE))

    async def ask(url, visitor):
        try:
            return await fetching.fetch(url, visitor)
        except Fault as fault:
            return str(fault)

    async def all_at_once(url):
        visitors = [f"192.0.2.{index // limits.URLS_A_VISITOR}" for index in range(4 * limits.URLS_AT_A_TIME)]
        tasks = [asyncio.create_task(ask(url, visitor)) for visitor in visitors]
        while not tasks[-1].done() and len(most) < limits.URLS_AT_A_TIME:
            await asyncio.sleep(0.01)
        more = [await ask(url, visitors[0]), await ask(url, "192.0.2.99")]
        go_on.set()
        return more, await asyncio.gather(*tasks)

    with host({"/": slow}) as (url, _):
        more, found = asyncio.run(all_at_once(url))
    assert max(most) == limits.URLS_AT_A_TIME
    assert found == [PICTURE] * len(found)
    assert all("too many are being fetched" in one for one in more)


def test_what_is_fetched_counts_as_uploaded(this_machine, monkeypatch):
    monkeypatch.setattr(fetching, "UPLOADS", Bucket(1500, 3600))
    with host({"/": said(PICTURE)}) as (url, _):
        assert asyncio.run(fetching.fetch(url, "his")) == asyncio.run(fetching.fetch(url, "his")) == PICTURE
        with pytest.raises(Fault, match="fetched or uploaded a lot"):
            asyncio.run(fetching.fetch(url, "his"))
        assert asyncio.run(fetching.fetch(url, "hers")) == PICTURE
