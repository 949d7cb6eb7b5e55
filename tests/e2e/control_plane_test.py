"""The control plane end to end: jobs, their logs and ends, and what bad input is answered. crash_test.py kills its programs."""

import subprocess
import time
import unittest
import urllib.request

from harness import BIN, Server, wait_until
from processes import ranks_of_job


class JobsTest(unittest.TestCase):
    def test_job_runs_and_its_exit_code_and_log_are_kept(self):
        with Server() as server:
            job = server.submit("sh", "-c", "echo out; echo err >&2; exit 3")
            ended = server.wait(job)
            self.assertEqual((ended["state"], ended["exit_code"]), ("FAILED", 3))
            self.assertEqual(sorted(server.logs(job).split()), ["err", "out"])

    def test_gang_starts_whole_and_knows_its_ranks(self):
        with Server() as server:
            job = server.submit("sh", "-c", "echo $RANK/$WORLD_SIZE", tasks=2, resources={"cpu": "100m"})
            self.assertEqual(server.wait(job)["state"], "SUCCEEDED")
            self.assertEqual(sorted(server.logs(job).split()), ["0/2", "1/2"])

    def test_failed_rank_ends_its_gang(self):
        with Server() as server:
            job = server.submit("sh", "-c", "[ $RANK = 1 ] && exit 9; exec sleep 600", tasks=2,
                                resources={"cpu": "100m"}, limits={"grace": "1s"})
            ended = server.wait(job)
            self.assertEqual((ended["state"], ended["exit_code"]), ("FAILED", 9))

    def test_cancelled_job_ends_and_its_children_too(self):
        with Server() as server:
            job = server.submit("sh", "-c", "sleep 611 & sleep 612", limits={"grace": "1s"})
            wait_until(lambda: len(ranks_of_job(server, job, "sleep\0")) == 2, what="both children")
            wait_until(lambda: server.job(job)["state"] == "RUNNING")
            server.call("DELETE", f"/api/v1/jobs/{job}")
            self.assertEqual(server.wait(job)["state"], "CANCELLED")
            self.assertEqual(ranks_of_job(server, job, "sleep\0"), [])

    def test_attempt_limit_ends_a_job_as_timed_out(self):
        with Server() as server:
            job = server.submit("sleep", "600", limits={"attempt": "500ms", "grace": "1s"})
            self.assertEqual(server.wait(job)["state"], "TIMED_OUT")

    def test_each_time_limit_ends_its_job_as_timed_out(self):
        with Server("--cpus", "4") as server:
            event = """echo '{"event":"progress","done":1,"total":9}' >&3; """
            jobs = {name: server.submit("sh", "-c", script, limits={name: "1s", "grace": "1s"}, resources={"cpu": 1})
                    for name, script in (("total", "sleep 60"), ("step", event + "sleep 60"), ("no_progress", "sleep 60"))}
            jobs["grace"] = server.submit("sh", "-c", "trap '' TERM; while :; do sleep 1; done", limits={"attempt": "1s", "grace": "1s"})
            jobs["queue"] = server.submit("true", limits={"queue": "1s"}, resources={"cpu": 4})
            begin = time.monotonic()
            for name, job in jobs.items():
                ended = server.wait(job, timeout=20)
                self.assertEqual(ended["state"], "TIMED_OUT", f"{name}: {ended['reason']}")
            self.assertLess(time.monotonic() - begin, 15, "a program that ignores SIGTERM is killed after its grace")

    def test_log_of_many_megabytes_comes_whole(self):
        """Faster than a client reads, and more than the server keeps waiting for it."""
        lines = 150_000
        with Server() as server:
            job = server.submit("seq", "-f", "%.0f ........................................................", "1", str(lines))
            self.assertEqual(server.wait(job)["state"], "SUCCEEDED")
            for accept, mark in (("text/plain", b" ..."), ("text/event-stream", b'\\n"}')):
                request = urllib.request.Request(server.url + f"/api/v1/jobs/{job}/logs?follow=1", headers={
                    "Authorization": "Bearer " + server.token, "Accept": accept})
                count, rest = 0, b""
                with urllib.request.urlopen(request, timeout=60) as answer:
                    while piece := answer.read(32_768):
                        count += (rest + piece).count(mark)
                        rest = piece[-len(mark) + 1:]
                self.assertEqual(count, lines, accept)
            done = server.cli("job", "logs", job)
            self.assertEqual((done.returncode, done.stdout.count("\n"), done.stderr), (0, lines, ""))

    def test_failed_job_is_tried_again_within_its_budget(self):
        with Server() as server:
            job = server.submit("sh", "-c", "echo attempt $TRAINYARD_ATTEMPT; [ $TRAINYARD_ATTEMPT = 3 ]",
                                retry={"user": 2, "backoff_base": "10ms"})
            ended = server.wait(job)
            self.assertEqual((ended["state"], ended["attempt"]), ("SUCCEEDED", 3))
            self.assertEqual(server.logs(job, attempt=1), "attempt 1\n")

    def test_idempotency_key_makes_one_job(self):
        with Server() as server:
            self.assertEqual(server.submit("true", key="k"), server.submit("true", key="k"))
            status, problem = server.call("POST", "/api/v1/jobs", {"command": ["false"]}, {"Idempotency-Key": "k"})
            self.assertEqual((status, problem["code"]), (409, "idempotency.mismatch"))

    def test_cli_follows_a_log_and_returns_the_code_of_the_job(self):
        with Server() as server:
            done = server.cli("job", "submit", "--follow", "--", "sh", "-c", "echo one; sleep 0.2; echo two; exit 4")
            self.assertEqual((done.returncode, done.stdout), (4, "one\ntwo\n"))


class BadInputTest(unittest.TestCase):
    def test_command_that_does_not_exist_fails_at_once_and_is_not_tried_again(self):
        with Server() as server:
            job = server.wait(server.submit("no-such-program-anywhere"))
            self.assertEqual((job["state"], job["attempt"]), ("FAILED", 1), job["reason"])
            self.assertIn("no-such-program-anywhere", job["reason"])

    def test_bad_specs_say_what_and_where(self):
        with Server() as server:
            for body, code, where in [
                ({"comand": ["true"]}, "spec.unknown_key", "/comand"),
                ({"command": ["true"], "tasks": 0}, "spec.range", "/tasks"),
                ({"command": []}, "spec.command", "/command"),
                ({"command": ["true"], "resources": {"cpu": "two"}}, "spec.cpu", "/resources/cpu"),
                ({"kind": "trian"}, "spec.kind", "/kind"),
                ({"dataset": "nowhere"}, "catalog.unknown_dataset", "/dataset"),
            ]:
                status, problem = server.call("POST", "/api/v1/jobs", body)
                self.assertIn(status, (400, 404), problem)
                self.assertEqual((problem["code"], problem["errors"][0]["pointer"]), (code, where))

    def test_yaml_errors_name_file_line_and_column(self):
        with Server() as server:
            status, problem = server.call("POST", "/api/v1/jobs?file=job.yaml", b"command: [true]\ntaskz: 2\n",
                                          {"Content-Type": "application/yaml"})
            self.assertEqual(status, 400)
            self.assertIn("job.yaml:", problem["errors"][0]["pointer"])

    def test_job_that_can_never_fit_is_refused(self):
        with Server("--cpus", "2") as server:
            wait_until(lambda: server.call("GET", "/api/v1/nodes")[1]["nodes"])
            status, problem = server.call("POST", "/api/v1/jobs", {"command": ["true"], "resources": {"cpu": 1000}})
            self.assertEqual((status, problem["code"]), (409, "spec.impossible_resources"))

    def test_wrong_token_is_refused_everywhere_but_at_the_health_routes(self):
        with Server() as server:
            for path in ("/", "/metrics", "/api/v1/jobs", "/api/v1/events", "/nowhere"):
                self.assertIn(server.call("GET", path, token="ty_pat_wrong")[0], (401, 404), path)
            self.assertEqual(server.call("GET", "/healthz", token="")[0], 200)

    def test_taken_port_is_named(self):
        with Server() as server:
            port = server.url.rsplit(":", 1)[1]
            second = subprocess.run([BIN / "trainyard", "up", "--data", server.root / "other", "--port", port],
                                    capture_output=True, text=True, timeout=20)
            self.assertEqual(second.returncode, 1)
            self.assertIn("net.port_taken", second.stderr)
            self.assertIn(port, second.stderr)

    def test_locked_data_directory_is_named(self):
        with Server() as server:
            second = subprocess.run([BIN / "trainyard", "up", "--data", server.data, "--port", "0"],
                                    capture_output=True, text=True, timeout=20)
            self.assertIn("data.locked", second.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
