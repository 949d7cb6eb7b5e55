"""Commands that follow a job over time: nothing is lost or doubled when the server is killed, and the exit code is the job's."""

import http.server
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BIN, Server, wait_until

CLI = str(BIN / "trainyard")
COUNT = 300
# A line every 10 ms, so that the kill comes in the middle of them.
COUNTING = f"i=0; while [ $i -lt {COUNT} ]; do echo line $i; i=$((i+1)); sleep 0.01; done; exit 7"
ALL_LINES = "".join(f"line {i}\n" for i in range(COUNT))


def watches_interrupts(pid):
    """True once the process takes SIGINT by itself instead of dying of it."""
    blocked = next(line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigBlk:"))
    return int(blocked.split()[1], 16) & (1 << (signal.SIGINT - 1)) != 0


class FollowTest(unittest.TestCase):
    def setUp(self):
        self.server = Server("--cpus", "4")
        self.addCleanup(self.server.close)

    def words(self, *words):
        return [CLI, "--url", self.server.url, "--token-file", self.server.ready["token_file"], *words]

    def start(self, *words):
        """A command with its output in files, which the test may read while it runs."""
        out, err = (open(self.server.root / f"{'-'.join(words)[:40].replace('/', '_')}.{kind}", "w+") for kind in ("out", "err"))
        self.addCleanup(out.close)
        self.addCleanup(err.close)
        process = subprocess.Popen(self.words(*words), stdout=out, stderr=err)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        process.printed = lambda: pathlib.Path(out.name).read_text()
        process.said = lambda: pathlib.Path(err.name).read_text()
        return process

    def kill_and_restart(self):
        self.server.kill()
        self.server.restart()

    def counting_job(self):
        return self.server.submit("sh", "-c", COUNTING, resources={"cpu": "100m"})

    def test_log_is_whole_and_each_line_comes_once_over_two_kills(self):
        job = self.counting_job()
        follower = self.start("job", "logs", "-f", job)
        for line in ("line 40\n", "line 150\n"):
            wait_until(lambda text=line: text in follower.printed(), what=line)
            self.kill_and_restart()
        self.assertEqual(follower.wait(timeout=60), 7, follower.said())
        self.assertEqual(follower.printed(), ALL_LINES)
        self.assertEqual(follower.said().count("the server does not answer, waiting up to 5m for it"), 2, follower.said())
        self.assertEqual(follower.said().count("the server is back"), 2)

    def test_submit_that_follows_and_one_that_waits_survive_a_kill(self):
        follows = self.start("job", "submit", "--follow", "--cpu", "100m", "--", "sh", "-c", COUNTING)
        waits = self.start("job", "submit", "--wait", "--cpu", "100m", "--", "sh", "-c", COUNTING)
        wait_until(lambda: "line 40\n" in follows.printed(), what="the first lines")
        self.kill_and_restart()
        self.assertEqual(follows.wait(timeout=60), 7, follows.said())
        self.assertEqual(follows.printed(), ALL_LINES)
        self.assertEqual(waits.wait(timeout=60), 7, waits.said())
        self.assertIn("FAILED: rank 0 exited with code 7", waits.said())

    def test_wait_survives_a_kill(self):
        job = self.counting_job()
        waits = self.start("job", "wait", job)
        wait_until(lambda: self.server.job(job)["state"] == "RUNNING", what="the job")
        self.kill_and_restart()
        self.assertEqual(waits.wait(timeout=60), 7, waits.said())
        self.assertIn(f"job {job} FAILED", waits.printed())

    def test_server_that_stays_away_ends_the_command_with_125(self):
        job = self.counting_job()
        follower = self.start("job", "logs", "-f", "--reconnect-for", "1s", job)
        wait_until(lambda: "line 1\n" in follower.printed(), what="the first lines")
        self.server.kill()
        begin = time.monotonic()
        self.assertEqual(follower.wait(timeout=30), 125)
        self.assertLess(time.monotonic() - begin, 15)
        self.assertIn("error: net.", follower.said())
        self.server.restart()

    def test_interrupt_leaves_the_job_running_and_says_how_to_go_on(self):
        job = self.server.submit("sh", "-c", "echo hello; sleep 60", resources={"cpu": "100m"})
        for words in (("job", "logs", "-f", job), ("job", "wait", job)):
            follower = self.start(*words)
            if words[1] == "logs":
                wait_until(lambda: follower.printed() == "hello\n", what="the line")  # pylint: disable=cell-var-from-loop
            wait_until(lambda: watches_interrupts(follower.pid), what="the follower")  # pylint: disable=cell-var-from-loop
            follower.send_signal(signal.SIGINT)
            self.assertEqual(follower.wait(timeout=10), 130)
            self.assertIn("go", follower.said())
        self.assertEqual(self.server.job(job)["state"], "RUNNING")

    def test_parts_of_a_log_can_be_chosen(self):
        job = self.server.submit("sh", "-c", "echo rank $RANK; echo loss 0.5; echo oops >&2", tasks=2, resources={"cpu": "100m"})
        self.server.wait(job)
        logs = lambda *words: subprocess.run(self.words("job", "logs", job, *words), capture_output=True, text=True, timeout=20)
        self.assertEqual(logs("--rank", "1").stdout, "rank 1\nloss 0.5\n")
        self.assertEqual(logs("--rank", "1").stderr, "oops\n")
        self.assertEqual(sorted(logs("--grep", "^rank").stdout.splitlines()), ["rank 0", "rank 1"])
        self.assertEqual(sorted(logs("--prefix", "--grep", "loss").stdout.splitlines()), ["[0] loss 0.5", "[1] loss 0.5"])
        self.assertRegex(logs("--rank", "0", "--timestamps").stdout, r"(?m)^20\d\d-\d\d-\d\dT[\d:.]+Z rank 0$")
        self.assertEqual(logs("--grep", "a(").returncode, 125)
        self.assertEqual(logs("--rank", "7").returncode, 125)

    def test_list_that_is_watched_tells_every_change(self):
        watcher = self.start("job", "ls", "-w", "-o", "ndjson")
        job = self.server.submit("sleep", "0.3", resources={"cpu": "100m"})
        shown = self.start("job", "get", "-w", job, "-o", "ndjson")
        states = lambda process: [json.loads(line)["state"] for line in process.printed().splitlines()]
        wait_until(lambda: "SUCCEEDED" in states(watcher), what="the end of the job in the list")
        self.assertEqual(shown.wait(timeout=20), 0)
        self.assertEqual(states(shown)[-1], "SUCCEEDED")
        self.assertEqual(len(states(shown)), len(set(shown.printed().splitlines())), "the same was told twice")


class BrokenStreamTest(unittest.TestCase):
    """A server that is there all the time and breaks every stream of a log after one line."""

    def test_log_goes_on_without_a_word(self):
        resumed = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if not self.path.startswith("/api/v1/jobs/7/logs"):
                    return self.send_error(404)
                resumed.append(self.headers["Last-Event-ID"])
                line = len(resumed)
                body = f'id: 1/{line}\nevent: log\ndata: {{"rank":0,"stream":"stdout","text":"line {line}\\n"}}\n\n'
                if line == 5:
                    body += f'id: 1/{line}\nevent: end\ndata: {{"state":"FAILED","exit_code":6}}\n\n'
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Content-Length", "100000")
                self.end_headers()
                self.wfile.write(body.encode())
                self.close_connection = True

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            done = subprocess.run([CLI, "--url", f"http://127.0.0.1:{server.server_port}", "job", "logs", "-f", "7"], capture_output=True,
                                  text=True, timeout=30, env=dict(os.environ, HOME="/nonexistent"))
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        self.assertEqual((done.returncode, done.stderr), (6, ""))
        self.assertEqual(done.stdout, "".join(f"line {i}\n" for i in range(1, 6)))
        self.assertEqual(resumed, [None, "1/1", "1/2", "1/3", "1/4"])


class LostAnswerTest(unittest.TestCase):
    """A server that takes a submit and breaks the connection before it answers."""

    def test_submit_is_repeated_under_one_key(self):
        keys = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                keys.append(self.headers["Idempotency-Key"])
                if len(keys) < 3:
                    self.close_connection = True
                    return
                body = b'{"id":"8","state":"QUEUED"}'
                self.send_response(201)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with tempfile.NamedTemporaryFile("w") as token:
                token.write("t\n")
                token.flush()
                done = subprocess.run([CLI, "--url", f"http://127.0.0.1:{server.server_port}", "--token-file", token.name, "job", "submit",
                                       "-q", "--reconnect-for", "20s", "--", "true"], capture_output=True, text=True, timeout=30,
                                      env=dict(os.environ, HOME="/nonexistent"))
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        self.assertEqual((done.returncode, done.stdout), (0, "8\n"), done.stderr)
        self.assertEqual(len(set(keys)), 1)
        self.assertGreaterEqual(len(keys), 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
