"""A real browser, Debian's chromium without a window, told what to do by the DevTools protocol over a pipe.

    browser = Browser(folder).start()
    page = browser.page(width=360, height=740, dark=True)
    page.open(url)
    page.key("Tab")
    page.wait_for("document.activeElement.id === 'sync'")
"""
import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time

PROGRAM = "chromium"
ARGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
        "--no-default-browser-check", "--disable-background-networking", "--disable-component-update", "--disable-extensions",
        "--disable-default-apps", "--disable-breakpad", "--force-color-profile=srgb", "--lang=en-GB", "--mute-audio",
        "--remote-debugging-pipe",
        # It reaches nothing but this machine.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"]
KEYS = {"Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "Space": (" ", 32, " ")}


def seen(selector):
    """An expression: the text there, "" of what is not shown."""
    return f"(([e]) => e?.checkVisibility() ? e.innerText : '')(document.querySelectorAll({json.dumps(selector)}))"


def why_not():
    """Why there is no browser here, or ""."""
    return "" if shutil.which(PROGRAM) else f"no {PROGRAM}"


class Browser:
    def __init__(self, folder, slow=10, zone="Europe/Berlin"):
        self.folder, self.slow, self.zone = folder, slow, zone
        self.events = []
        self._number = 0
        self._rest = b""

    def start(self):
        to_it, ours = os.pipe()
        theirs, from_it = os.pipe()
        # It reads 3 and writes 4, whatever numbers we have.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (to_it, from_it)]
        words = [PROGRAM, *ARGS, f"--user-data-dir={self.folder}", "about:blank"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TZ": self.zone, "LANG": "C.UTF-8"}
        with open(f"{self.folder}.log", "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "bash", "-c", 'exec "$@" 3<&%d 4>&%d %d<&- %d>&-' % (*ends, *ends), "bash", *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=ends, env=environment, start_new_session=True)
        for end in (to_it, from_it, *ends):
            os.close(end)
        self._in, self._out = ours, theirs
        self.version = self.call("Browser.getVersion", timeout=60)["product"]
        return self

    def stop(self):
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._in)
        os.close(self._out)

    def call(self, method, session=None, timeout=20, **params):
        """A command and its answer. What is told meanwhile goes to `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        self._write(json.dumps(message).encode() + b"\0")
        end = time.monotonic() + timeout * self.slow
        while True:
            told = self._read(end)
            if told is None:
                raise AssertionError(f"chromium does not answer {method}")
            if told.get("id") == self._number:
                break
        if "error" in told:
            raise AssertionError(f"chromium: {method}: {told['error']['message']}")
        return told["result"]

    def _write(self, data):
        while data:
            data = data[os.write(self._in, data):]

    def listen(self):
        """Takes what is there already."""
        while self._read(0):
            pass

    def _read(self, end):
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._out], [], [], max(0, end - time.monotonic()))
            if not ready:
                return None
            more = os.read(self._out, 1 << 20)
            if not more:
                raise AssertionError("chromium has ended")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        told = json.loads(line)
        if "method" in told:
            self.events.append(told)
        return told

    def page(self, **how):
        return Page(self, **how)


class Page:
    """A tab with cookies and storage of its own."""

    def __init__(self, browser, width=1280, height=900, dark=False, still=False, bypass=False):
        self.browser = browser
        self.context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.call("Emulation.setScrollbarsHidden", hidden=True)
        if bypass:
            self.call("Page.setBypassCSP", enabled=True)
        self.look(width, height, dark, still)

    def look(self, width, height=900, dark=False, still=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}])

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def close(self):
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)

    def open(self, url):
        done = self.call("Page.navigate", url=url)
        if done.get("errorText"):
            raise AssertionError(f"{url}: {done['errorText']}")
        self.wait_for("document.readyState === 'complete'")

    def run(self, script):
        """The value of an expression; of a promise what becomes of it."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            thrown = done["exceptionDetails"]
            raise AssertionError(f"in the page: {thrown.get('exception', {}).get('description') or thrown['text']}")
        return done["result"].get("value")

    def text(self, selector):
        """What a person sees there."""
        return self.run(seen(selector))

    def wait_for(self, script, timeout=10):
        end = time.monotonic() + timeout * self.browser.slow
        while not self.run(script):
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {script}; the page says: {self.text('body')}")
            time.sleep(0.02)

    def wait_text(self, selector, text, timeout=10):
        """Until it says that."""
        self.wait_for(f"{seen(selector)}.includes({json.dumps(text)})", timeout)

    def key(self, name, shift=False):
        key, code, text = KEYS[name]
        how = {"key": key, "code": name, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **how, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **how)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def tab_to(self, id, shift=False, most=40):
        """Presses Tab until that element has the focus."""
        for _ in range(most):
            self.key("Tab", shift)
            if self.run("document.activeElement.id") == id:
                return
        raise AssertionError(f"Tab does not lead to {id}")

    def screenshot(self, full=False):
        how = {}
        if full:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            how = {"clip": {**size, "scale": 1}, "captureBeyondViewport": True}
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", **how)["data"])

    def complaints(self):
        """What the browser had to say of the page: errors in scripts, and what the policy refused."""
        self.browser.listen()
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                thrown = params["exceptionDetails"]
                found.append(thrown.get("exception", {}).get("description") or thrown["text"])
            elif event["method"] == "Log.entryAdded" and params["entry"]["source"] != "network":
                found.append(params["entry"]["text"])
            elif event["method"] == "Runtime.consoleAPICalled":
                found.append(str(params["args"]))
        return found
