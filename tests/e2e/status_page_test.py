"""The pages for people: sessions over HTTP, and the pages themselves in a real Chromium, light and dark, wide and narrow.

Screenshots go to the directory TRAINYARD_SCREENSHOTS when it is set.
"""

import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import unittest
import urllib.error
import urllib.parse
import urllib.request

import webdriver
from harness import BIN, Server, wait_until

ODD_NAMES = ["<script>document.title='owned'</script>", "\"><img src=x onerror=document.title='owned'>", "a & b &amp; 'c'",
             "</table></main><h1>gone</h1>", "ünïcode 列車 \u202e desrever"]
PIPELINE = """
workflow: <b>night</b> build
tasks:
  prepare: {job: {kind: command, command: [sh, -c, 'echo prepare'], resources: {cpu: 100m}}}
  check: {after: [prepare], job: {kind: command, command: [sh, -c, 'exit 3'], resources: {cpu: 100m}}}
  publish: {after: [check], job: {kind: command, command: [echo, done], resources: {cpu: 100m}}}
"""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def send(url, method="GET", fields=None, form=None):
    """One request without following redirects: (status, headers, body)."""
    data = urllib.parse.urlencode(form).encode() if form is not None else (b"" if method == "POST" else None)
    request = urllib.request.Request(url, data=data, method=method, headers=fields or {})
    opener = urllib.request.build_opener(NoRedirect, urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


class TalkingServer(Server):
    """A server whose greeting is read as it comes: into a file it would write no link."""

    def start(self, failpoints=""):
        ready = self.root / "ready.json"
        ready.unlink(missing_ok=True)
        self.log = open(self.root / "server.log", "ab")
        self.process = subprocess.Popen([BIN / "trainyard", "up", *self.options, "--data", self.data, "--port", "0", "--ready-file", ready],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        lines = []
        while not lines or "next" not in lines[-1]:
            lines.append(self.process.stdout.readline())
            if not lines[-1]:
                raise RuntimeError("the server ended: " + (self.root / "server.log").read_text())
        self.process.stdout.close()
        self.link, = re.findall(r"browser +(http://\S+/login\?link=[0-9a-f]{64}) ", "".join(lines))
        self.ready = json.loads(ready.read_text())
        self.url = self.ready["url"]
        self.token = pathlib.Path(self.ready["token_file"]).read_text().strip()


def cookie_pair(headers):
    return headers["Set-Cookie"].split(";")[0]


class SessionTest(unittest.TestCase):
    """What does not need a browser."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        cls.url = cls.server.url

    def sign_in(self):
        status, headers, _ = send(self.url + "/login", "POST", form={"token": self.server.token})
        self.assertEqual((status, headers["Location"]), (303, "/"))
        return cookie_pair(headers)

    def is_signed_in(self, cookie):
        return "Sign out" in send(self.url + "/", fields={"Cookie": cookie})[2]

    def test_page_without_a_credential_asks_for_the_token_and_shows_nothing_else(self):
        status, headers, body = send(self.url + "/")
        self.assertEqual(status, 200)
        self.assertIn('name="token"', body)
        self.assertNotIn("Nodes", body)
        self.assertNotIn("Set-Cookie", headers)
        policy = headers["Content-Security-Policy"]
        for rule in ("default-src 'none'", "style-src 'sha256-", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            self.assertIn(rule, policy)
        self.assertEqual((headers["X-Content-Type-Options"], headers["Cache-Control"]), ("nosniff", "no-store"))
        self.assertIn(headers["Referrer-Policy"], ("no-referrer", "same-origin"))

    def test_cookie_is_kept_from_scripts_and_other_sites(self):
        _, headers, _ = send(self.url + "/login", "POST", form={"token": f" {self.server.token}\n"})
        attributes = [part.strip() for part in headers["Set-Cookie"].split(";")][1:]
        self.assertEqual(attributes, ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"])
        self.assertNotIn(self.server.token, headers["Set-Cookie"])
        self.assertTrue(self.is_signed_in(cookie_pair(headers)))

    def test_wrong_token_is_refused_with_a_page_or_as_a_problem(self):
        for form in ({"token": "wrong"}, {"token": ""}, {}, {"token": self.server.token + "0"}):
            status, headers, body = send(self.url + "/login", "POST", form=form)
            self.assertEqual(status, 401)
            self.assertNotIn("Set-Cookie", headers)
            self.assertIn("This token is not known here", body)
        status, headers, _ = send(self.url + "/", fields={"Authorization": "Bearer wrong"})
        self.assertEqual((status, headers["Content-Type"]), (401, "application/problem+json"))

    def test_pages_of_jobs_ask_for_the_token_too(self):
        for path in ("/jobs/1", "/workflows/1"):
            status, _, body = send(self.url + path)
            self.assertEqual(status, 401)
            self.assertIn('name="token"', body)
        self.assertEqual(send(self.url + "/jobs/999", fields={"Cookie": self.sign_in()})[0], 404)

    def test_session_reads_the_api_and_changes_nothing(self):
        cookie = self.sign_in()
        self.assertEqual(send(self.url + "/api/v1/jobs", fields={"Cookie": cookie})[0], 200)
        for path in ("/api/v1/jobs", "/api/v1/server:shutdown"):
            self.assertEqual(send(self.url + path, "POST", {"Cookie": cookie, "Origin": self.url})[0], 401)
        self.assertEqual(send(self.url + "/api/v1/jobs/1", "DELETE", {"Cookie": cookie})[0], 401)

    def test_requests_of_other_sites_with_the_cookie_are_refused(self):
        cookie = self.sign_in()
        for mark in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                     {"Sec-Fetch-Site": "same-site"}, {"Origin": self.url.replace("127.0.0.1", "localhost")}):
            for path in ("/logout", "/login", "/api/v1/jobs"):
                status, headers, _ = send(self.url + path, "POST", {"Cookie": cookie, **mark})
                self.assertEqual(status, 403, f"{mark} {path}")
                self.assertNotIn("Set-Cookie", headers)
        self.assertTrue(self.is_signed_in(cookie))

    def test_signing_out_ends_the_session_and_removes_the_cookie(self):
        cookie = self.sign_in()
        status, headers, _ = send(self.url + "/logout", "POST", {"Cookie": cookie, "Origin": self.url})
        self.assertEqual(status, 303)
        self.assertIn("Max-Age=0", headers["Set-Cookie"])
        self.assertFalse(self.is_signed_in(cookie))
        self.assertIn("The session is over", send(self.url + "/", fields={"Cookie": cookie})[2])

    def test_signing_in_again_ends_the_session_before(self):
        first = self.sign_in()
        send(self.url + "/login", "POST", {"Cookie": first}, form={"token": self.server.token})
        self.assertFalse(self.is_signed_in(first))

    def test_link_works_once_and_stands_in_no_file(self):
        with TalkingServer() as server:
            link = server.link
            for path in server.root.rglob("*"):
                if path.is_file():
                    self.assertNotIn(link.rsplit("=", 1)[1].encode(), path.read_bytes(), path)
            self.assertEqual(send(link, "HEAD")[0], 200)
            self.assertEqual(send(link, fields={"Sec-Purpose": "prefetch;prerender"})[0], 503)
            status, headers, _ = send(link)
            self.assertEqual((status, headers["Location"]), (303, "/"))
            self.assertIn("Sign out", send(server.url + "/", fields={"Cookie": cookie_pair(headers)})[2])
            status, headers, body = send(link)
            self.assertEqual(status, 401)
            self.assertNotIn("Set-Cookie", headers)
            self.assertIn("This sign-in link does not work any more", body)

    def test_greeting_that_goes_into_a_file_holds_no_link(self):
        greeting = wait_until(lambda: [line for line in (self.server.root / "server.log").read_text().splitlines() if "browser" in line],
                              what="the greeting")
        self.assertEqual(greeting, [f"  browser   {self.url}/ (asks for the token)"])

    def test_restart_ends_sessions_and_links(self):
        with TalkingServer() as server:
            link = server.link
            _, headers, _ = send(server.url + "/login", "POST", form={"token": server.token})
            server.kill()
            server.restart()
            self.assertIn("The session is over", send(server.url + "/", fields={"Cookie": cookie_pair(headers)})[2])
            self.assertEqual(send(link)[0], 401)

    def test_server_on_a_full_disk_says_so_and_shows_what_it_has(self):
        with Server() as server:
            server.wait(server.submit("true", name="before the disk was full"))
            server.kill()
            server.restart(failpoints="server.probe_disk=disk_full")
            _, headers, _ = send(server.url + "/login", "POST", form={"token": server.token})
            status, _, body = send(server.url + "/", fields={"Cookie": cookie_pair(headers)})
            self.assertEqual(status, 200)
            self.assertIn("the disk was full when the server started", body)
            self.assertIn("before the disk was full", body)


class OtherSite:
    """A page of another site, which tries what such pages try."""

    def __init__(self, target):
        pages = {"/out": f"<body onload='document.forms[0].submit()'><form method=post action='{target}/logout'></form>",
                 "/link": f"<a href='{target}/'>go</a>",
                 "/frame": f"<iframe src='{target}/'></iframe>"}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                page = pages.get(self.path, "").encode()
                self.send_response(200 if page else 404)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # Another name of the same machine is another site.
        self.url = f"http://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


# The least contrast of any visible text with what is behind it (WCAG 2 formula), the size it needs, and its place.
CONTRAST = """
const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4);
const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
const colour = text => text.match(/[\\d.]+/g).map(Number);
const behind = element => {
  for (let e = element; e; e = e.parentElement) {
    const c = colour(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c;
  }
  return [255, 255, 255];
};
let worst = {ratio: 99, text: ''};
let count = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !element.getClientRects().length || element.closest('style,[aria-hidden]')) continue;
  const [a, b] = [light(colour(getComputedStyle(element).color)), light(behind(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  ++count;
  if (ratio < worst.ratio) worst = {ratio, text: walker.currentNode.textContent.trim().slice(0, 60), tag: element.outerHTML.slice(0, 120)};
}
return {...worst, count};
"""


@unittest.skipIf(webdriver.missing(), webdriver.missing())
class BrowserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = TalkingServer("--cpus", "2")
        cls.addClassCleanup(cls.server.close)
        cls.url = cls.server.url
        cls.browser = webdriver.Browser()
        cls.addClassCleanup(cls.browser.close)
        cls.fill()

    @classmethod
    def fill(cls):
        """Jobs in every state, a workflow that failed, a model."""
        small = {"resources": {"cpu": "100m", "memory": "16MiB"}}
        wait_until(lambda: cls.server.call("GET", "/api/v1/nodes")[1]["nodes"], what="the node")
        cls.odd_jobs = [cls.server.submit("true", name=name, **small) for name in ODD_NAMES]
        failed = cls.server.submit("sh", "-c", "exit 3", name="fails at once", **small)
        status, run = cls.server.call("POST", "/api/v1/workflows:run", PIPELINE.encode(), {"Content-Type": "application/yaml"})
        assert status == 201, run
        cls.workflow = run["id"]
        for job in cls.odd_jobs + [failed]:
            cls.server.wait(job)
        wait_until(lambda: cls.server.call("GET", f"/api/v1/workflows/{cls.workflow}")[1]["state"] == "FAILED", what="the failed workflow")
        cls.running = cls.server.submit(
            "sh", "-c", """echo '{"event":"progress","done":3,"total":8,"message":"epoch 3/8"}' >&3;
            echo '{"event":"metric","key":"validation_accuracy","value":0.8712,"step":3}' >&3; exec sleep 600""",
            name="train-final", resources={"cpu": "1500m", "memory": "64MiB"}, limits={"grace": "1s"})
        cls.queued = cls.server.submit("true", name="waits for its turn", resources={"cpu": "1900m"})
        version = {"source": "ty://models/fashion.onnx", "alias": "champion"}
        status, answer = cls.server.call("POST", "/api/v1/models/fashion/versions", version)
        assert status == 201, answer
        wait_until(lambda: "validation_accuracy" in cls.server.job(cls.running).get("metrics", {}), what="the metric")

    def setUp(self):
        self.browser.open(self.url + "/healthz")
        self.browser.forget_cookies()
        self.browser.screen(1280)
        self.browser.colour_scheme("light")
        self.browser.console()

    def sign_in(self, token=None):
        self.browser.open(self.url + "/")
        self.browser.type("#token", token or self.server.token)
        self.browser.click("button[type=submit]")
        wait_until(lambda: self.browser.exists("[role=alert], header form"), what="the answer")

    def assert_signed_in(self):
        wait_until(lambda: self.browser.exists("header form[action='/logout']"), what="the status page")

    def test_stranger_is_asked_for_the_token(self):
        self.browser.open(self.url + "/")
        self.assertEqual(self.browser.title(), "Sign in · Trainyard")
        self.assertEqual(self.browser.script("return document.activeElement.labels[0].textContent"), "Access token")
        self.assertEqual(self.browser.console(), [])

    def test_wrong_token_is_named_and_the_right_one_signs_in(self):
        self.sign_in("ty_pat_wrong")
        self.assertIn("This token is not known here", self.browser.text("[role=alert]"))
        self.sign_in()
        self.assert_signed_in()
        self.assertEqual(self.browser.url(), self.url + "/")
        cookie, = self.browser.cookies()
        self.assertEqual((cookie["httpOnly"], cookie["sameSite"], cookie["path"]), (True, "Strict", "/"))
        self.assertNotIn(self.server.token, cookie["value"])
        self.assertEqual(self.browser.script("return document.cookie"), "")

    def test_one_time_link_signs_in_once(self):
        link = self.server.link
        self.browser.open(link)
        self.assert_signed_in()
        self.assertEqual(self.browser.url(), self.url + "/")
        self.browser.forget_cookies()
        self.browser.open(link)
        self.assertIn("a link works once", self.browser.text("[role=alert]"))
        self.assertTrue(self.browser.exists("#token"))

    def test_status_page_shows_what_there_is(self):
        self.sign_in()
        text = self.browser.text("main")
        for expected in (self.url, "Version 0.1.0", "RUNNING", "QUEUED", "waits for its turn", "fails at once", "FAILED", "train-final",
                         "local", "READY", "fashion", "champion → 1", "<b>night</b> build", "3 of 3 tasks"):
            self.assertIn(expected, text)
        self.assertIn(self.server.call("GET", f"/api/v1/jobs/{self.queued}/explain")[1]["text"], text)
        self.assertEqual(self.browser.script("return [...document.querySelectorAll('table')].every(t => t.caption.textContent)"), True)
        self.assertEqual(self.browser.console(), [])

    def test_odd_names_are_shown_as_they_are(self):
        self.sign_in()
        names = self.browser.script("return [...document.querySelectorAll('#jobs ~ .scroll tbody th bdi')].map(e => e.textContent)")
        for name in ODD_NAMES:
            self.assertIn(name, names)
        self.assertEqual(self.browser.script("return document.querySelectorAll('script,img,main b:not(.tiles b)').length"), 0)
        for job, name in zip(self.odd_jobs, ODD_NAMES):
            self.browser.open(f"{self.url}/jobs/{job}")
            self.assertEqual(self.browser.script("return document.querySelector('h1').textContent"), name)
            self.assertEqual(self.browser.title(), " ".join(f"Job {job} {name} · Trainyard".split()))
        self.assertEqual(self.browser.console(), [])

    def test_every_link_of_the_status_page_works_in_the_session(self):
        self.sign_in()
        links = self.browser.script("return [...document.querySelectorAll('a')].map(a => a.href)")
        self.assertGreaterEqual(len(links), 18)
        cookie, = self.browser.cookies()
        for link in sorted(set(links)):
            self.assertEqual(send(link, fields={"Cookie": f"{cookie['name']}={cookie['value']}"})[0], 200, link)
        self.browser.click(f"a[href='/jobs/{self.running}']")
        wait_until(lambda: self.browser.title().startswith(f"Job {self.running}"), what="the page of the job")
        text = self.browser.text("main")
        for expected in ("train-final", "3 of 8", "epoch 3/8", "validation_accuracy", "0.8712", "RUNNING"):
            self.assertIn(expected, text)
        self.browser.click("a[href$='/logs']")
        wait_until(lambda: self.browser.url().endswith("/logs"), what="the log")

    def test_workflow_page_shows_its_tasks(self):
        self.sign_in()
        self.browser.open(f"{self.url}/workflows/{self.workflow}")
        text = self.browser.text("main")
        for expected in ("<b>night</b> build", "prepare", "SUCCEEDED", "check", "FAILED", "publish", "UPSTREAM_FAILED"):
            self.assertIn(expected, text)

    def test_signing_out_ends_the_session(self):
        self.sign_in()
        before, = self.browser.cookies()
        self.browser.click("header form button")
        wait_until(lambda: self.browser.exists("#token"), what="the page that asks for the token")
        self.assertIn("You are signed out.", self.browser.text("main"))
        self.assertEqual(self.browser.cookies(), [])
        self.assertIn("The session is over", send(self.url + "/", fields={"Cookie": f"{before['name']}={before['value']}"})[2])

    def test_pages_of_other_sites_cannot_sign_out_or_frame_but_may_link(self):
        other = OtherSite(self.url)
        try:
            self.sign_in()
            self.browser.open(other.url + "/out")
            wait_until(lambda: self.browser.url() == self.url + "/logout", what="the refused form")
            self.assertIn("http.origin", self.browser.text())
            self.browser.open(other.url + "/frame")
            wait_until(lambda: "http.origin" in self.browser.script_in_frame("return document.body.innerText"), what="the refused frame")
            self.browser.open(other.url + "/link")
            self.browser.click("a")
            self.assert_signed_in()
        finally:
            other.close()

    def look_at(self, name, path):
        """Both schemes at both widths: contrast, no sideways scrolling, nothing on the console; and a picture."""
        directory = os.environ.get("TRAINYARD_SCREENSHOTS")
        for scheme in ("light", "dark"):
            for width in (1280, 390):
                with self.subTest(page=name, scheme=scheme, width=width):
                    self.browser.colour_scheme(scheme)
                    self.browser.screen(width)
                    self.browser.open(self.url + path)
                    self.browser.console()
                    worst = self.browser.script(CONTRAST)
                    self.assertGreater(worst["count"], 3)
                    self.assertGreaterEqual(worst["ratio"], 4.5, worst)
                    overflow = self.browser.script("return document.scrollingElement.scrollWidth - window.innerWidth")
                    self.assertLessEqual(overflow, 0)
                    background = self.browser.script("return getComputedStyle(document.body).backgroundColor")
                    self.assertEqual(max(map(int, re.findall(r"\d+", background)[:3])) < 64, scheme == "dark", background)
                    self.browser.open(self.url + path)
                    self.assertEqual([line for line in self.browser.console() if "status of 40" not in line], [])
                    if directory:
                        self.browser.screenshot(pathlib.Path(directory) / f"{name}-{scheme}-{width}.png")

    def test_pages_are_readable_in_both_schemes_and_widths(self):
        self.look_at("sign-in", "/")
        self.look_at("link-used", "/login?link=" + "0" * 64)
        self.sign_in()
        self.look_at("status", "/?refresh=off")
        self.look_at("job", f"/jobs/{self.running}")
        self.look_at("job-failed", f"/jobs/{self.odd_jobs[0]}")
        self.look_at("workflow", f"/workflows/{self.workflow}")
        self.look_at("unknown", "/jobs/999999")

    def test_empty_server_says_what_to_do_first(self):
        with Server("server") as server:
            self.browser.open(server.url + "/")
            self.browser.type("#token", server.token)
            self.browser.click("button[type=submit]")
            self.assert_signed_in()
            text = self.browser.text("main")
            for expected in ("No job was submitted yet", "trainyard job submit", "No machine runs jobs here", "No workflow was run yet",
                             "No model is registered yet"):
                self.assertIn(expected, text)
            if os.environ.get("TRAINYARD_SCREENSHOTS"):
                self.browser.screenshot(pathlib.Path(os.environ["TRAINYARD_SCREENSHOTS"]) / "empty.png")


if __name__ == "__main__":
    if webdriver.missing():
        print(webdriver.missing(), file=sys.stderr)
    unittest.main(verbosity=2)
