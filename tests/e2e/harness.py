"""Starts real Trainyard programs on private directories for the end-to-end tests. Only the standard library is used."""

import atexit
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

BIN = pathlib.Path(os.environ.get("TRAINYARD_BIN", "build/release/bin")).resolve()


def wait_until(condition, timeout=20.0, what="the condition"):
    """Polls until `condition()` is true and returns its value; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        time.sleep(0.01)


def process_alive(pid):
    """True while the process exists and is no zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def warden_of(directory):
    """The pid of the warden that serves this data directory, none when there is none."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"trainyard-warden") and str(directory).encode() in words and process_alive(int(entry.name)):
            return int(entry.name)
    return None


_open_servers = set()


def _close_open_servers():
    for server in list(_open_servers):
        server.close()


def _end_by_signal(number, _):
    raise KeyboardInterrupt(f"signal {number}")


# A test program that is told to end, as by timeout(1), leaves no server and no directory behind.
atexit.register(_close_open_servers)
signal.signal(signal.SIGTERM, _end_by_signal)


class Server:
    """One data directory and the server that serves it, which may be killed and started again."""

    def __init__(self, *options, failpoints="", environment=None):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="trainyard-e2e-"))
        self.data = self.root / "data"
        self.options = list(options)
        self.process = None
        self.environment = environment or {}
        self.log = None
        _open_servers.add(self)
        try:
            self.start(failpoints)
        except BaseException:
            self.close()
            raise

    def start(self, failpoints=""):
        ready = self.root / "ready.json"
        ready.unlink(missing_ok=True)
        environment = dict(os.environ, TRAINYARD_FAILPOINTS=failpoints, **self.environment)
        self.log = open(self.root / "server.log", "ab")
        self.process = subprocess.Popen(
            [BIN / "trainyard", *(["up"] if "server" not in self.options else []), *self.options,
             "--data", self.data, "--port", "0", "--ready-file", ready],
            stdout=self.log, stderr=self.log, env=environment)
        wait_until(lambda: ready.exists() or self.process.poll() is not None, what="the server")
        if not ready.exists() and failpoints:
            # The failpoint was hit before the server served: the next start is the one that recovers.
            return self.restart()
        if not ready.exists():
            raise RuntimeError("the server ended: " + (self.root / "server.log").read_text())
        self.ready = json.loads(ready.read_text())
        self.url = self.ready["url"]
        self.token = pathlib.Path(self.ready["token_file"]).read_text().strip()

    def kill(self):
        """SIGKILL for the server alone; the warden and the jobs stay."""
        self.process.kill()
        self.process.wait()
        self.log.close()

    def restart(self, failpoints=""):
        self.log.close()
        self.start(failpoints)

    def warden_pid(self):
        """The pid of this directory's warden, none when there is none."""
        return warden_of(self.data)

    def close(self):
        """Ends everything and removes the directory, even when the server does not end in time, which is an error."""
        _open_servers.discard(self)
        try:
            if self.process is not None and self.process.poll() is None:
                self.process.terminate()
                self.process.wait(timeout=20)
        finally:
            if self.process is not None and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self.log is not None:
                self.log.close()
            warden = self.warden_pid()
            if warden:
                os.kill(warden, signal.SIGKILL)
                wait_until(lambda: not process_alive(warden), what="the end of the warden")
            shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # The API. Every call returns (status, body).
    def call(self, method, path, body=None, headers=None, token=None, timeout=60):
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Authorization", "Bearer " + (self.token if token is None else token))
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                text = response.read()
                status = response.status
        except urllib.error.HTTPError as error:
            text = error.read()
            status = error.code
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text.decode()

    def submit(self, *command, key=None, **fields):
        headers = {"Idempotency-Key": key} if key else {}
        status, job = self.call("POST", "/api/v1/jobs", {"command": list(command), **fields}, headers)
        if status != 201:
            raise AssertionError(f"submit answered {status}: {job}")
        return job["id"]

    def job(self, job_id):
        status, job = self.call("GET", f"/api/v1/jobs/{job_id}")
        if status != 200:
            raise AssertionError(f"job {job_id} answered {status}: {job}")
        return job

    def wait(self, job_id, timeout=30.0):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            _, job = self.call("GET", f"/api/v1/jobs/{job_id}?wait=5")
            if job["state"] in ("SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"):
                return job
        raise AssertionError(f"job {job_id} did not end: {job['state']}: {job['reason']}")

    def logs(self, job_id, **query):
        text = "&".join(f"{k}={v}" for k, v in query.items())
        return self.call("GET", f"/api/v1/jobs/{job_id}/logs" + ("?" + text if text else ""))[1]

    def cli(self, *words, timeout=60):
        return subprocess.run([BIN / "trainyard", "--url", self.url, "--token-file", self.ready["token_file"], *words],
                              capture_output=True, text=True, timeout=timeout)
