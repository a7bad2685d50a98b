"""A real Chromium without a screen, spoken to by its DevTools protocol: https://chromedevtools.github.io/devtools-protocol/

    def test_a_page(browser: Browser) -> None:          # the fixture stands in tests/conftest.py
        with browser.page(width=390, height=844, theme="dark") as page:
            page.open(url)
            page.wait_for("h1", "Lines")
            page.press("ArrowRight")

Each page has cookies of its own, as another person's browser has. A page that met an error of its script, a failed request or
anything that its content security policy forbids fails the test when it is closed; `forgive` names what a test provokes.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from websockets.sync.client import ClientConnection, connect

from tests.emulators import missing

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS: Final = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--mute-audio",
    "--password-store=basic",
)
STARTS_IN_S: Final = 30.0
ANSWERS_IN_S: Final = 30.0
MODIFIERS: Final = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}
# By the name that `KeyboardEvent.key` has: the virtual key code, and what the key types
KEYS: Final = {
    "Backspace": (8, ""), "Tab": (9, ""), "Enter": (13, "\r"), "Escape": (27, ""), " ": (32, " "), "PageUp": (33, ""),
    "PageDown": (34, ""), "End": (35, ""), "Home": (36, ""), "ArrowLeft": (37, ""), "ArrowUp": (38, ""),
    "ArrowRight": (39, ""), "ArrowDown": (40, ""), "Delete": (46, ""),
}  # fmt: skip


class Page:
    """One tab, in a browser context of its own."""

    def __init__(self, browser: "Browser", context: str, target: str, session: str) -> None:
        self._browser = browser
        self._context = context
        self._target = target
        self._session = session
        self._forgiven: list[str] = []
        self.problems: list[str] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Any method of the protocol."""
        return self._browser.call(method, self._session, **parameters)

    def open(self, url: str, seconds: float = 20) -> None:
        """Go there, until it is loaded."""
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url} can't be opened: {answer['errorText']}"
        self.until("document.readyState === 'complete'", seconds)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript, a promise awaited. What it throws fails the test."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=False
        )
        thrown = answer.get("exceptionDetails")
        assert thrown is None, f"{expression}: {_thrown(thrown or {})}"
        return answer["result"].get("value")

    def until(self, expression: str, seconds: float = 10) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"waited {seconds:g} s in vain for: {expression}\n{self._shows()}"
            time.sleep(0.02)

    def wait_for(self, selector: str, text: str = "", seconds: float = 10) -> None:
        """Wait until an element can be seen that this selector fits and that holds the text."""
        wanted = f"[...document.querySelectorAll({json.dumps(selector)})]"
        self.until(f"{wanted}.some(e => e.checkVisibility() && e.innerText.includes({json.dumps(text)}))", seconds)

    def wait_gone(self, selector: str, seconds: float = 10) -> None:
        """Wait until no such element can be seen."""
        self.until(f"![...document.querySelectorAll({json.dumps(selector)})].some(e => e.checkVisibility())", seconds)

    def text(self, selector: str = "body") -> str:
        """What a person reads in the first element that fits; fails the test if there is none."""
        found = self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? null")
        assert found is not None, f"there is no {selector}\n{self._shows()}"
        return str(found)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, by their `KeyboardEvent.key`: "a", "ArrowLeft", "Control+Enter"."""
        for key in keys:
            *held, name = key.split("+") if len(key) > 1 else [key]
            assert name in KEYS or len(name) == 1, f"there is no key {name}"
            code, typed = KEYS[name] if name in KEYS else (ord(name.upper()), name)
            pressed = {
                "key": name,
                "code": _code(name),
                "windowsVirtualKeyCode": code,
                "modifiers": sum(MODIFIERS[modifier] for modifier in held),
            }
            types = bool(typed) and not set(held) - {"Shift"}
            self.call(
                "Input.dispatchKeyEvent",
                type="keyDown" if types else "rawKeyDown",
                **pressed,
                **({"text": typed} if types else {}),
            )
            self.call("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def type(self, text: str) -> None:
        """Letter by letter, as a keyboard or a scanner does."""
        self.press(*text)

    def click(self, selector: str) -> None:
        """Press the middle of an element with the mouse; fails the test if something else lies over it."""
        x, y = self.middle(selector)
        there = f"document.elementFromPoint({x}, {y})"
        over = self.evaluate(
            f"(e => document.querySelector({json.dumps(selector)}).contains(e) ? '' : (e?.outerHTML ?? 'nothing'))({there})"
        )
        assert over == "", f"over the middle of {selector} lies {over[:200]}"
        at = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **at)

    def middle(self, selector: str) -> tuple[float, float]:
        """Of the first element that fits, in pixels of the window, into which it is scrolled."""
        found = self.evaluate(
            f"(e => {{ if (!e) return null; e.scrollIntoView({{block: 'nearest', inline: 'nearest', behavior: 'instant'}});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })"
            f"(document.querySelector({json.dumps(selector)}))"
        )
        assert found is not None, f"there is no {selector}\n{self._shows()}"
        return float(found[0]), float(found[1])

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """One event of the mouse: `mousePressed`, `mouseMoved`, `mouseReleased`, `mouseWheel` (deltaX, deltaY)."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """`touchStart`, `touchMove`, `touchEnd`, with where the fingers are."""
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in points])

    def offline(self, gone: bool = True) -> None:
        """The network goes, or comes back. Streams that are open go on here: `tests.stations.Cable` cuts those too."""
        self.call(
            "Network.emulateNetworkConditions", offline=gone, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )

    def look(self, theme: str) -> None:
        """`light` or `dark`, as the person's system prefers it."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def size(self, width: int, height: int, *, mobile: bool = False) -> None:
        """Of the window, in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.call("Emulation.setTouchEmulationEnabled", enabled=mobile)

    def screenshot(self, path: Path, *, whole: bool = False) -> Path:
        """What the window shows, or the whole page, as PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def forgive(self, *patterns: str) -> None:
        """Problems that this test provokes, as regular expressions."""
        self._forgiven.extend(patterns)

    def close(self, *, complain: bool = True) -> None:
        """Fails the test for all that went wrong on it."""
        self.call("Runtime.evaluate", expression="0")  # what happened until now has been told by then
        self._browser.close(self, self._context, self._target, self._session)
        told = [each for each in self.problems if not any(re.search(known, each) for known in self._forgiven)]
        assert not told or not complain, "the page met problems:\n" + "\n".join(told)

    def heard(self, method: str, told: dict[str, Any]) -> None:
        """An event of the protocol."""
        match method:
            case "Runtime.exceptionThrown":
                self.problems.append(_thrown(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "assert"):
                self.problems.append(" ".join(str(a.get("value", a.get("description"))) for a in told["args"]))
            case "Log.entryAdded" if told["entry"]["level"] == "error":
                self.problems.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
            case "Audits.issueAdded" if told["issue"]["code"] == "ContentSecurityPolicyIssue":
                self.problems.append(f"content security policy: {json.dumps(told['issue']['details'])}")

    def _shows(self) -> str:
        shown = self.call("Runtime.evaluate", expression="document.body?.innerText", returnByValue=True)
        return f"the page shows: {str(shown['result'].get('value'))[:600]}\nproblems: {self.problems}"


class Browser:
    """A process of Chromium; `chromium` starts and ends it."""

    def __init__(self, line: ClientConnection) -> None:
        self._line = line
        self._next = 0
        self._pages: dict[str, Page] = {}

    @contextmanager
    def page(
        self, width: int = 1280, height: int = 800, theme: str = "light", *, mobile: bool = False
    ) -> Iterator[Page]:
        """An empty tab. What goes wrong on it fails the test at the end."""
        page = self._new()
        page.size(width, height, mobile=mobile)
        page.look(theme)
        try:
            yield page
        except BaseException:
            page.close(complain=False)
            raise
        page.close()

    def _new(self) -> Page:
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, context, target, session)
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            page.call(f"{domain}.enable")
        return page

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Any method of the protocol; what pages tell meanwhile is heard. A refusal fails the test."""
        self._next += 1
        asked: dict[str, Any] = {"id": self._next, "method": method, "params": parameters}
        self._line.send(json.dumps(asked | ({"sessionId": session} if session else {})))
        end = time.monotonic() + ANSWERS_IN_S
        while True:
            try:
                told = json.loads(self._line.recv(timeout=max(0.0, end - time.monotonic())))
            except TimeoutError:
                raise AssertionError(f"Chromium did not answer {method}") from None
            if told.get("id") == self._next:
                assert "error" not in told, f"{method}: {told.get('error')}"
                return dict(told["result"])
            page = self._pages.get(told.get("sessionId", ""))
            if page and "method" in told:
                page.heard(told["method"], told["params"])

    def close(self, page: Page, context: str, target: str, session: str) -> None:
        del self._pages[session]
        self.call("Target.closeTarget", targetId=target)
        self.call("Target.disposeBrowserContext", browserContextId=context)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, started in a second or two and ended with it. Skips the test where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        missing("there is no Chromium here", "install it (Debian, Ubuntu: chromium)")
    assert program is not None
    # In a folder of its own, that Chromium may still write into while it ends
    with tempfile.TemporaryDirectory(prefix="linegate-chromium-", ignore_cleanup_errors=True) as folder:
        rootless = [] if os.geteuid() else ["--no-sandbox"]
        command = [program, *FLAGS, *rootless, f"--user-data-dir={folder}", "about:blank"]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            with connect(_address(Path(folder), process), max_size=None, compression=None) as line:
                yield Browser(line)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """Where it listens, as it writes it into its folder."""
    end = time.monotonic() + STARTS_IN_S
    while True:
        try:
            port, path = (folder / "DevToolsActivePort").read_text().splitlines()
            return f"ws://127.0.0.1:{port}{path}"
        except (FileNotFoundError, ValueError):
            assert process.poll() is None, f"Chromium ended with {process.returncode}"
            assert time.monotonic() < end, "Chromium did not start"
            time.sleep(0.05)


def _code(name: str) -> str:
    if len(name) != 1:
        return name
    if name.isascii() and name.isalpha():
        return f"Key{name.upper()}"
    return {" ": "Space"}.get(name, f"Digit{name}" if name.isdigit() else "")


def _thrown(details: dict[str, Any]) -> str:
    said = details.get("exception", {}).get("description") or details.get("text", "")
    return f"{said} ({details.get('url', '')}:{details.get('lineNumber', '')})"
