"""Firefox and WebKit, each over its own protocol, in the few words that the tests need.

Firefox speaks WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), WebKit's WebKitWebDriver the classic WebDriver
(https://www.w3.org/TR/webdriver2/). Both give: `go(url)`, `run(body, *values)`, `choose(selector, file)`,
`size(width, height)`, which gives what it came to, and `close()`.
"""

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from helpers import wait_for
from server import free_port

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # an element's key in WebDriver


class Firefox:
    """Headless. Raises AssertionError with a script's fault."""

    program = shutil.which("firefox-esr") or shutil.which("firefox")

    def __init__(self, folder: Path):
        from websockets.sync.client import connect

        port = free_port()
        command = [self.program, "--headless", "--no-remote", "--profile", str(folder)]
        command += ["--remote-debugging-port", str(port), "about:blank"]
        self.log = (folder / "firefox.log").open("w")
        surroundings = os.environ | {"HOME": str(folder), "MOZ_REMOTE_SETTINGS_DEVTOOLS": "1"}
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, env=surroundings)
        self.count = 0

        def connected() -> bool:
            assert self.process.poll() is None, (folder / "firefox.log").read_text()[-2000:]
            try:
                self.socket = connect(f"ws://127.0.0.1:{port}/session", max_size=None, open_timeout=60, proxy=None)
            except OSError:
                return False
            return True

        wait_for(connected, 120, every=0.2)
        self.ask("session.new", capabilities={})
        self.tab = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def ask(self, method: str, **params) -> dict:
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv(timeout=180))
            if answer.get("id") == self.count:
                assert answer["type"] == "success", answer
                return answer["result"]

    def go(self, url: str) -> None:
        self.ask("browsingContext.navigate", context=self.tab, url=url, wait="complete")

    def call(self, function: str, *values) -> dict:
        answer = self.ask(
            "script.callFunction",
            functionDeclaration=function,
            awaitPromise=True,
            target={"context": self.tab},
            arguments=[{"type": "string", "value": json.dumps(values)}],
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return answer["result"]

    def run(self, body: str, *values):
        """What an asynchronous function of `values` with this body returns, through JSON."""
        function = f"""async (given) => {{
            const found = await (async (...values) => {{ {body} }})(...JSON.parse(given));
            return JSON.stringify(found ?? null); }}"""
        return json.loads(self.call(function, *values)["value"])

    def choose(self, selector: str, file: Path) -> None:
        element = self.call("(given) => document.querySelector(JSON.parse(given)[0])", selector)
        shared = {"sharedId": element["sharedId"]}
        self.ask("input.setFiles", context=self.tab, element=shared, files=[str(file)])

    def size(self, width: int, height: int) -> list[int]:
        self.ask("browsingContext.setViewport", context=self.tab, viewport={"width": width, "height": height})
        return [width, height]

    def close(self) -> None:
        try:
            self.ask("browser.close")
            self.process.wait(20)
        except (OSError, AssertionError, subprocess.TimeoutExpired):
            self.process.kill()
        finally:
            self.socket.close()
            self.log.close()


class WebKit:
    """WebKitGTK's MiniBrowser on a screen of its own (Xvfb)."""

    program = shutil.which("WebKitWebDriver") if shutil.which("Xvfb") else None

    def __init__(self, folder: Path):
        reading, writing = os.pipe()
        screen = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1600x1400x24", "-nolisten", "tcp"]
        self.log = (folder / "webkit.log").open("w")
        said = {"stdout": self.log, "stderr": subprocess.STDOUT}
        self.screen = subprocess.Popen(screen, pass_fds=[writing], **said)
        os.close(writing)
        with os.fdopen(reading) as display:
            surroundings = os.environ | {"DISPLAY": f":{display.readline().strip()}", "HOME": str(folder)}
        surroundings |= {"LIBGL_ALWAYS_SOFTWARE": "1", "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1"}
        port = free_port()
        self.process = subprocess.Popen([self.program, f"--port={port}"], env=surroundings, **said)
        self.base = f"http://127.0.0.1:{port}/session"
        self.session = ""

        def started() -> bool:
            assert self.process.poll() is None, (folder / "webkit.log").read_text()[-2000:]
            try:
                found = self.ask("POST", "", capabilities={"alwaysMatch": {"browserName": "MiniBrowser"}})
            except OSError:
                return False
            self.session = f"/{found['sessionId']}"
            return True

        wait_for(started, 60, every=0.2)
        self.ask("POST", "/timeouts", script=180000, pageLoad=120000)

    def ask(self, method: str, path: str, **params):
        data = json.dumps(params).encode() if method == "POST" else None
        request = urllib.request.Request(self.base + self.session + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=200) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:1000]) from error

    def go(self, url: str) -> None:
        self.ask("POST", "/url", url=url)

    def run(self, body: str, *values):
        """What an asynchronous function of `values` with this body returns, through JSON."""
        script = f"""const done = arguments[arguments.length - 1], values = [...arguments].slice(0, -1);
            (async (...values) => {{ {body} }})(...values)
                .then((found) => done([JSON.stringify(found ?? null)]), (fault) => done([null, String(fault)]));"""
        found = self.ask("POST", "/execute/async", script=script, args=list(values))
        assert len(found) == 1, found
        return json.loads(found[0])

    def choose(self, selector: str, file: Path) -> None:
        element = self.ask("POST", "/element", using="css selector", value=selector)[ELEMENT]
        self.ask("POST", f"/element/{element}/value", text=str(file))

    def size(self, width: int, height: int) -> list[int]:
        """Of what is seen of the page: the window's own edges come on top, and its toolbar is 447 pixels wide."""
        for _ in range(3):
            inner = self.run("return [innerWidth, innerHeight]")
            if inner == [width, height]:
                break
            outer = self.ask("GET", "/window/rect")
            wanted = [outer["width"] + width - inner[0], outer["height"] + height - inner[1]]
            self.ask("POST", "/window/rect", x=0, y=0, width=wanted[0], height=wanted[1])
            self.run("await new Promise((done) => setTimeout(done, 300))")
        return self.run("return [innerWidth, innerHeight]")

    def close(self) -> None:
        with suppress(OSError, AssertionError):
            self.ask("DELETE", "")
        for process in (self.process, self.screen):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        self.log.close()


def session(kind: type[Firefox] | type[WebKit], folder: Path) -> Iterator[Firefox | WebKit]:
    """For a fixture: the browser, closed in the end; skips where there is none."""
    if kind.program is None:
        pytest.skip(f"no {kind.__name__} here")
    if kind is Firefox:
        pytest.importorskip("websockets", reason="no websockets for WebDriver BiDi")
    browser = kind(folder)
    yield browser
    browser.close()
