"""Drives a real Chromium, without a window, through chromedriver's WebDriver protocol. Only the standard library is used."""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

from harness import wait_until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing():
    """What of the browser is not installed, as a sentence; empty when all is there."""
    absent = [name for name, program in (("chromium", browser_path()), ("chromium-driver", driver_path())) if program is None]
    return f"NOT RUN: no {' and no '.join(absent)} here; install the package of that name" if absent else ""


def browser_path():
    return shutil.which("chromium") or shutil.which("google-chrome")


def driver_path():
    return shutil.which("chromedriver")


class Browser:
    """One browser with a profile of its own, which ends with it."""

    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="trainyard-browser-"))
        self.log = open(self.root / "driver.log", "wb")
        self.session = None
        self.driver = subprocess.Popen([driver_path(), "--port=0"], stdout=self.log, stderr=self.log, cwd=self.root,
                                       env=dict(os.environ, HOME=str(self.root)))
        try:
            self.port = wait_until(self._started_on, timeout=30, what="chromedriver")
            capabilities = {"browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"},
                            "goog:chromeOptions": {"binary": browser_path(), "args": self._arguments()}}
            started = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}}, timeout=90)
            self.session = started["sessionId"]
        except BaseException:
            self.close()
            raise

    def _arguments(self):
        arguments = ["--headless=new", f"--user-data-dir={self.root}/profile", "--disable-gpu", "--disable-dev-shm-usage",
                     "--no-proxy-server", "--no-first-run", "--disable-background-networking", "--disable-component-update",
                     "--disable-sync", "--hide-scrollbars"]
        # Chromium's sandbox refuses to run as root.
        return arguments + (["--no-sandbox"] if os.geteuid() == 0 else [])

    def _started_on(self):
        if self.driver.poll() is not None:
            raise RuntimeError("chromedriver ended: " + (self.root / "driver.log").read_text(errors="replace"))
        for line in (self.root / "driver.log").read_text(errors="replace").splitlines():
            if "successfully on port" in line:
                return int(line.rstrip(". \n").rsplit(" ", 1)[1])
        return None

    def _call(self, method, path, body=None, timeout=60):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout) as response:
                return json.loads(response.read())["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"WebDriver {method} {path}: {json.loads(error.read())['value']['message']}") from error

    def command(self, method, path, body=None):
        return self._call(method, f"/session/{self.session}{path}", body)

    def close(self):
        if self.session:
            try:
                self.command("DELETE", "")
            except (OSError, AssertionError):
                pass
        self.driver.terminate()
        self.driver.wait(timeout=20)
        self.log.close()
        shutil.rmtree(self.root, ignore_errors=True)

    # Pages
    def open(self, url):
        self.command("POST", "/url", {"url": url})

    def url(self):
        return self.command("GET", "/url")

    def title(self):
        return self.command("GET", "/title")

    def script(self, text, *arguments):
        return self.command("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def script_in_frame(self, text):
        """Runs in the first frame of the page."""
        self.command("POST", "/frame", {"id": 0})
        try:
            return self.script(text)
        finally:
            self.command("POST", "/frame", {"id": None})

    def text(self, selector="body"):
        """The visible text of the first element that matches."""
        return self.command("GET", f"/element/{self.find(selector)}/text")

    def find(self, selector):
        return self.command("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def exists(self, selector):
        return self.script("return document.querySelector(arguments[0]) !== null", selector)

    def type(self, selector, text):
        self.command("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def click(self, selector):
        self.command("POST", f"/element/{self.find(selector)}/click")

    def cookies(self):
        return self.command("GET", "/cookie")

    def forget_cookies(self):
        self.command("DELETE", "/cookie")

    def console(self):
        """What the browser wrote to its console since the last call; violations of the page's own policy are among it."""
        return [entry["message"] for entry in self.command("POST", "/se/log", {"type": "browser"})]

    # Emulation
    def devtools(self, name, **parameters):
        return self.command("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def colour_scheme(self, scheme):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screen(self, width, height=900):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def screenshot(self, path):
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))
