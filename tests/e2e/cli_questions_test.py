"""What the command line asks and changes of a whole server: dry runs, what-if, stopped queues, deleted users, parts of logs."""

import json
import pathlib
import subprocess
import tempfile
import time
import unittest

from harness import BIN, Server, wait_until


class QuestionsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--cpus", "2", "--memory", "4GiB")
        cls.addClassCleanup(cls.server.close)
        wait_until(lambda: cls.server.call("GET", "/api/v1/nodes")[1]["nodes"], what="the node of the server")
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)

    def file(self, name, text):
        path = pathlib.Path(self.directory.name) / name
        path.write_text(text)
        return str(path)

    def ok(self, *words):
        done = self.server.cli(*words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def jobs(self):
        return len(self.server.call("GET", "/api/v1/jobs?fields=id&limit=1000")[1]["jobs"])

    def test_dry_run_says_what_a_submit_would_and_stores_nothing(self):
        before = self.jobs()
        self.assertRegex(self.ok("job", "submit", "--dry-run", "--cpu", "1", "--", "true"), r"^would start now on \S+\n$")
        self.assertRegex(self.ok("job", "submit", "--dry-run", "--hold", "--", "true"), r"^would wait: Suspended: ")
        refused = self.server.cli("job", "submit", "--dry-run", "--cpu", "400", "--", "true")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("spec.impossible_resources", refused.stderr)
        self.assertEqual(self.jobs(), before)

    def test_apply_of_several_documents_checks_all_before_the_first_is_submitted(self):
        before = self.jobs()
        good = "command: ['true']\nresources: {cpu: 100m}\n"
        bad = self.server.cli("apply", "-f", self.file("bad.yaml", good + "---\ncommand: ['true']\ntaks: 2\n"))
        self.assertNotEqual(bad.returncode, 0)
        self.assertIn("bad.yaml:5:1", bad.stderr)
        self.assertEqual(self.jobs(), before)
        self.assertEqual(len(self.ok("apply", "-f", self.file("good.yaml", good + "---\n" + good)).splitlines()), 2)
        self.assertEqual(self.jobs(), before + 2)

    def test_what_if_tells_who_would_start_and_changes_nothing(self):
        running = self.server.submit("sleep", "600", resources={"cpu": 2}, limits={"grace": "1s"})
        self.addCleanup(lambda: self.server.call("DELETE", f"/api/v1/jobs/{running}"))
        wait_until(lambda: self.server.job(running)["state"] == "RUNNING")
        waiting = self.server.submit("true", resources={"cpu": 2})
        self.addCleanup(lambda: self.server.call("DELETE", f"/api/v1/jobs/{waiting}"))
        for change in (["--cancel", running], ["--add-nodes", "1", "--cpu", "8", "--memory", "8GiB"]):
            answer = json.loads(self.ok("what-if", *change, "-o", "json"))
            self.assertIn(waiting, [start["job"] for start in answer["starts"]], answer)
        node = self.server.call("GET", "/api/v1/nodes")[1]["nodes"][0]["name"]
        answer = json.loads(self.ok("what-if", "--drain", node, "-o", "json"))
        self.assertEqual([stop["job"] for stop in answer["stops"]], [running])
        spec = self.file("one.yaml", "command: ['true']\nresources: {cpu: 2}\n")
        self.assertFalse(json.loads(self.ok("what-if", "-f", spec, "-o", "json"))["plan"]["starts_now"])
        self.assertEqual((self.server.job(running)["state"], self.server.job(waiting)["state"]), ("RUNNING", "QUEUED"))

    def test_rank_says_what_limits_it_and_a_part_of_its_log_can_be_had(self):
        job = self.server.submit("sh", "-c", "echo 0123456789", resources={"cpu": "100m"})
        ended = self.server.wait(job)
        self.assertIn(ended["attempts"][0]["limited_by"], ("cgroup2", "cgroup1", "rlimit"))
        self.assertEqual(self.server.call("GET", f"/api/v1/jobs/{job}/logs", headers={"Range": "bytes=2-4"}), (206, 234))
        self.assertEqual(self.server.call("GET", f"/api/v1/jobs/{job}/logs?follow=1", headers={"Accept": "text/plain"}),
                         (200, "0123456789\n"))

    def test_command_that_conflicts_with_what_is_there_exits_with_5(self):
        job = self.server.submit("true", resources={"cpu": "100m"})
        self.server.wait(job)
        for words in (["hold", job], ["priority", "5", job]):
            done = self.server.cli("job", *words)
            self.assertEqual((done.returncode, done.stdout), (5, ""), words)
            self.assertIn("job.ended", done.stderr)

    def test_what_is_printed_of_several_things_is_one_document(self):
        good = "command: ['true']\nresources: {cpu: 100m}\nhold: true\n"
        file = self.file("several.yaml", good + "---\n" + good)
        jobs = [job["id"] for job in json.loads(self.ok("apply", "-f", file, "-o", "json"))]
        self.assertEqual(len(jobs), 2)
        for format, count in (("ndjson", 2), ("name", 2), ("jsonpath=[*].id", 2)):
            self.assertEqual(len(self.ok("apply", "-f", file, "-o", format).splitlines()), count, format)
        self.assertEqual(len(json.loads(self.ok("apply", "--dry-run", "-f", file, "-o", "json"))), 2)
        for words in (["release", *jobs], ["wait", *jobs]):
            self.assertEqual([job["id"] for job in json.loads(self.ok("job", *words, "-o", "json"))["jobs"]], jobs)
        self.assertEqual(self.server.cli("apply").returncode, 2)

    def test_log_of_an_array_is_that_of_its_elements(self):
        array = self.server.submit("sh", "-c", "echo element $TRAINYARD_ARRAY_INDEX", resources={"cpu": "100m"}, array={"count": 3})
        self.server.wait(array)
        self.assertEqual(self.ok("job", "logs", array), "".join(f"{array}[{i}]: element {i}\n" for i in range(3)))
        self.assertEqual(self.ok("job", "logs", f"{array}[1-2]", "--tail", "1"), f"{array}[1]: element 1\n{array}[2]: element 2\n")
        refused = self.server.cli("job", "logs", "-f", array)
        self.assertEqual((refused.returncode, refused.stdout), (2, ""))
        self.assertIn("array", refused.stderr)

    def test_elements_are_cancelled_whether_they_are_made_or_not_and_else_told(self):
        array = self.server.submit("sleep", "600", resources={"cpu": "100m"}, limits={"grace": "1s"}, array={"count": 9, "max_running": 2})
        self.addCleanup(lambda: self.server.call("DELETE", f"/api/v1/jobs/{array}"))
        wait_until(lambda: self.server.job(array)["array"]["started"] == 2, what="two elements")
        for words in ([f"{array}[4]"], [f"{array}[1-4]", "--yes"]):
            refused = self.server.cli("job", "preempt", *[word for word in words if word != "--yes"])
            self.assertEqual((refused.returncode, refused.stdout), (5, ""), refused.stderr)
            self.assertIn("job.element_not_made", refused.stderr)
        self.assertEqual(self.server.cli("job", "cancel", f"{array}[9]").returncode, 3)
        elements = json.loads(self.ok("job", "ls", "--array", array, "-o", "json"))["jobs"]
        self.assertEqual([job["state"] for job in elements], ["RUNNING", "RUNNING"])
        self.assertIn(f"job {array} ", self.ok("job", "cancel", f"{array}[1-8]", "--yes"))
        wait_until(lambda: self.server.job(array)["array"]["cancelled"] == 8, what="the end of those that were cancelled")
        self.ok("job", "cancel", f"{array}[0]")
        ended = self.server.wait(array)
        self.assertEqual((ended["state"], ended["array"]["cancelled"], ended["array"]["created"]), ("FAILED", 9, 9))
        self.assertEqual(len(json.loads(self.ok("job", "ls", "--array", array, "-o", "json"))["jobs"]), 2, "only those were ever made")

    def test_tail_of_nothing_is_only_what_follows(self):
        with tempfile.TemporaryDirectory() as directory:
            gate, out = pathlib.Path(directory) / "gate", pathlib.Path(directory) / "out"
            job = self.server.submit("sh", "-c", f"i=0; while [ ! -e {gate} ]; do echo tick $i; i=$((i+1)); sleep 0.05; done; exit 3",
                                     resources={"cpu": "100m"})
            wait_until(lambda: "tick 3\n" in self.server.logs(job), what="the first lines")
            self.assertEqual(self.ok("job", "logs", job, "--tail", "0"), "")
            with open(out, "w", encoding="utf-8") as stream:
                words = ["--url", self.server.url, "--token-file", self.server.ready["token_file"], "job", "logs", "-f", job, "--tail", "0"]
                with subprocess.Popen([BIN / "trainyard", *words], stdout=stream) as follower:
                    wait_until(lambda: "tick" in out.read_text(), what="a line that was followed")
                    gate.touch()
                    self.assertEqual(follower.wait(timeout=30), 3)
            followed, whole = out.read_text().splitlines(), self.server.logs(job).splitlines()
            self.assertEqual(followed, whole[-len(followed):])
            self.assertNotIn("tick 3", followed)

    def test_deleted_user_is_refused_at_once_and_the_jobs_go_on(self):
        self.ok("user", "create", "eve", "--role", "runner")
        token = self.ok("token", "create", "--user", "eve").strip()
        status, job = self.server.call("POST", "/api/v1/jobs", {"command": ["sleep", "1"], "resources": {"cpu": "100m"}}, token=token)
        self.assertEqual(status, 201)
        self.ok("user", "delete", "eve", "--yes")
        self.assertEqual(self.server.call("GET", "/api/v1/whoami", token=token)[0], 401)
        self.assertEqual(self.server.wait(job["id"])["state"], "SUCCEEDED")
        self.assertNotIn("eve", self.ok("user", "ls"))


class StoppedQueueTest(unittest.TestCase):
    def test_stopped_queue_stays_stopped_over_a_restart_until_it_is_started(self):
        with Server("--cpus", "2") as server:
            stopped = server.cli("queue", "stop", "default", "--reason", "maintenance")
            self.assertEqual(stopped.returncode, 0, stopped.stderr)
            job = server.submit("true")
            server.kill()
            server.restart()
            wait_until(lambda: server.call("GET", "/api/v1/nodes")[1]["nodes"], what="the node of the server")
            shown = json.loads(server.cli("queue", "get", "default", "-o", "json").stdout)
            self.assertEqual((shown["state"], shown["reason"]), ("stopped", "maintenance"))
            self.assertIn('Queue "default" is stopped', server.cli("job", "explain", job).stdout)
            self.assertEqual(server.job(job)["state"], "QUEUED")
            self.assertEqual(server.cli("queue", "start", "default").returncode, 0)
            self.assertEqual(server.wait(job)["state"], "SUCCEEDED")


class ListTest(unittest.TestCase):
    def test_list_of_a_thousand_jobs_comes_quickly(self):
        with Server("--cpus", "1") as server:
            specs = [{"command": ["true"], "name": f"job-{i}", "hold": True} for i in range(1000)]
            self.assertEqual(server.call("POST", "/api/v1/jobs:batch", {"jobs": specs})[0], 201)
            times = []
            for _ in range(5):
                begin = time.perf_counter()
                done = server.cli("job", "ls", "--limit", "1000")
                times.append(time.perf_counter() - begin)
                self.assertEqual(len(done.stdout.splitlines()), 1001, done.stderr)
            print(f"job ls of 1,000 jobs: {min(times) * 1000:.0f} ms at best", flush=True)
            self.assertLess(min(times), 0.1)


if __name__ == "__main__":
    unittest.main()
