"""Queues with quotas on the real server: lending, taking back, what people are told. And the guide: its file and commands as printed."""

import gzip
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

from harness import BIN, Server, wait_until

ROOT = pathlib.Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guide/scheduling.md").read_text()

TWO_TEAMS = """
sharing: drf
queues:
  - name: vision
    owns_quota: true
    quota: {cpu: "1"}
    preemption: {enabled: true, grace: 2s}
  - name: language
    owns_quota: true
    quota: {cpu: "1"}
    preemption: {enabled: true, grace: 2s}
"""

# Writes a checkpoint when it is asked to give way, and goes on from it.
GIVES_WAY = "trap 'kill $child; echo gave way; exit 75' TERM; sleep 600 & child=$!; echo began; wait"


class QuotaTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="trainyard-e2e-")
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / "scheduler.yaml"
        self.file.write_text(TWO_TEAMS)

    def serve(self):
        server = Server("--cpus", "2", "--scheduler", self.file)
        self.addCleanup(server.close)
        wait_until(lambda: server.call("GET", "/api/v1/nodes")[1]["nodes"])
        return server

    def lend(self, server):
        """Two jobs of vision, one of them on what language does not use."""
        jobs = [server.submit("sh", "-c", GIVES_WAY, resources={"cpu": 1}, queue="vision") for _ in range(2)]
        for job in jobs:
            wait_until(lambda job=job: "began" in server.logs(job), what="the start on a lent core")
        return jobs

    def test_lent_core_is_taken_back_and_the_borrower_goes_on_afterwards(self):
        server = self.serve()
        first, second = self.lend(server)
        owner = server.submit("true", resources={"cpu": 1}, queue="language")
        self.assertEqual(server.wait(owner)["state"], "SUCCEEDED")
        self.assertIn("gave way", server.logs(second, attempt=1), "the younger of the borrowers leaves")
        self.assertNotIn("gave way", server.logs(first))
        wait_until(lambda: server.job(second)["attempt"] == 2 and server.job(second)["state"] == "RUNNING",
                   what="the second attempt of the borrower")

    def test_victim_that_will_not_leave_is_killed_after_the_grace_of_the_queue(self):
        server = self.serve()
        jobs = [server.submit("sh", "-c", "trap '' TERM; echo began; while :; do sleep 1; done", resources={"cpu": 1}, queue="vision",
                              limits={"grace": "10m"}) for _ in range(2)]
        for job in jobs:
            wait_until(lambda job=job: "began" in server.logs(job), what="the start on a lent core")
        owner = server.submit("true", resources={"cpu": 1}, queue="language")
        self.assertRegex(server.cli("job", "explain", owner).stdout, r"WaitingForPreempted: .*Job \d gives way to it\.")
        self.assertEqual(server.wait(owner)["state"], "SUCCEEDED")

    def test_job_is_told_that_room_is_made_for_it(self):
        server = self.serve()
        self.lend(server)
        stubborn = server.submit("sh", "-c", "trap '' TERM; echo began; sleep 600", resources={"cpu": 1}, queue="vision")
        self.assertIn("WaitingFor", server.cli("job", "explain", stubborn).stdout)
        owner = server.submit("sleep", "600", resources={"cpu": 1}, queue="language")
        wait_until(lambda: server.job(owner)["state"] == "RUNNING", what="the owner's start")
        more = server.submit("true", resources={"cpu": 1}, queue="language")
        text = server.cli("job", "explain", more).stdout
        self.assertRegex(text, "WaitingFor(Quota|Resources)|ExceedsFairShare|BorrowingLimitReached", text)

    def test_server_killed_while_a_victim_leaves_loses_neither_job(self):
        server = self.serve()
        first, second = self.lend(server)
        owner = server.submit("sh", "-c", "echo ran", resources={"cpu": 1}, queue="language")
        server.kill()
        server.restart()
        self.assertEqual(server.wait(owner)["state"], "SUCCEEDED")
        self.assertEqual(server.logs(owner).count("ran"), 1)
        wait_until(lambda: {server.job(job)["state"] for job in (first, second)} == {"RUNNING"}, what="both borrowers")

    def test_queue_that_is_not_there_is_refused_with_those_that_are(self):
        server = self.serve()
        done = server.cli("job", "submit", "--queue", "vison", "--", "true")
        self.assertNotEqual(done.returncode, 0)
        for words in ("queue.unknown", "vision, language", '"vison"'):
            self.assertIn(words, done.stderr)

    def test_faulty_scheduler_file_ends_the_start_with_its_place(self):
        for text, words in ((TWO_TEAMS.replace("drf", "dfr"), "drf"), (TWO_TEAMS.replace("grace", "grase"), "grace")):
            self.file.write_text(text)
            done = subprocess.run([BIN / "trainyard", "up", "--port", "0", "--scheduler", self.file, "--data", self.file.parent / "data"],
                                  capture_output=True, text=True, timeout=30)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr, rf"{re.escape(str(self.file))}:\d+")
            self.assertIn(words, done.stderr)


class GuideTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="trainyard-e2e-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_scheduler_file_of_the_guide_is_accepted(self):
        blocks = re.findall(r"(?s)```yaml\n(.*?)```", GUIDE)
        self.assertEqual(len(blocks), 1)
        file = self.folder / "scheduler.yaml"
        file.write_text(blocks[0])
        with Server("--cpus", "2", "--scheduler", file) as server:
            job = server.submit("true", queue="batch")
            self.assertEqual(server.wait(job)["state"], "SUCCEEDED")

    def test_simulations_of_the_guide_run_as_printed(self):
        (self.folder / "jobs.csv").write_bytes((ROOT / "tests/data/scheduling/examples/ex1_easy.trace.csv").read_bytes())
        (self.folder / "nodes.csv").write_text("node_id,procs,mem_mb,gpus,gpu_model\nn0,8,65536,2,V100\nn1,8,65536,0,\nn2,8,65536,0,\n")
        log = "; MaxProcs: 240\n1 0 -1 60 4 -1 -1 4 120 -1 1 1 1 1 1 -1 -1 -1\n2 5 -1 30 240 -1 -1 240 60 -1 1 2 1 1 1 -1 -1 -1\n"
        (self.folder / "log.swf.gz").write_bytes(gzip.compress(log.encode()))
        text = GUIDE.replace("\\\n", " ")
        commands = [line for line in text.splitlines() if line.startswith("trainyard simulate --trace")]
        self.assertEqual(len(commands), 3)
        for command in commands:
            words = shlex.split(command)[1:]
            done = subprocess.run([BIN / "trainyard", *words], cwd=self.folder, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, command + "\n" + done.stderr)
        for name in ("schedule.csv", "summary.json", "picture.svg", "s.csv", "s.json"):
            self.assertGreater((self.folder / name).stat().st_size, 0, name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
