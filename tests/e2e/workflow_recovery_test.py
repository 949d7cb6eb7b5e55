"""A pipeline under `trainyard workflow run` while its server is killed: it goes on, each task takes effect once, the bits stay the same."""

import itertools
import json
import os
import random
import subprocess
import sys
import threading
import unittest

from harness import BIN, Server, wait_until
from processes import ranks_of_job
from tiny_data import tiny_pipeline, write_tiny_dataset

TUNE = """\
  tune:
    after: curate
    tune:
      metric: validation_accuracy
      job:
        kind: train
        name: trial
        resources: {cpu: 100m, memory: 512MiB}
        inputs: {data: tiny@latest/curated}
        config: {model: {name: mlp}, steps: 40, batch_size: 16, export_onnx: false, trial: {rung_steps: [20]}}
      points: [{learning_rate: 0.1}, {learning_rate: 0.0001}]
  train:
"""
# The whole graph, with a gang of two that trains for a moment, so that there is a middle to be killed in.
WHOLE = {"  train:\n": TUNE, "    after: curate\n    job:\n      kind: train\n": "    job:\n      kind: train\n      tasks: 2\n",
         "learning_rate: 0.1, steps": "learning_rate: \"${tasks.tune.result.best.learning_rate}\", steps",
         "checkpoint_every: 1s": "checkpoint_every: 200ms", "cpu: 500m": "cpu: 100m"}
WHOLE_TASKS = ["ingest", "curate", "tune", "train", "gate", "register", "deploy", "predict"]
JOBS_OF_WHOLE = ["ingest", "curate", "trial-trial-0", "trial-trial-1", "tiny", "tiny-server", "predict"]
STEPS = 2000


def seed():
    """The seed of this run; printed, so that a failure can be repeated."""
    value = int(os.environ.get("TRAINYARD_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"seed {value}", file=sys.stderr)
    return value


def hits(chosen, last):
    """At which hits of a failpoint the server dies: some of them, all up to `last` for TRAINYARD_FULL_SWEEP=1."""
    return range(1, last + 1) if os.environ.get("TRAINYARD_FULL_SWEEP") == "1" else chosen


class Watched:
    """`trainyard workflow run FILE` as a process that somebody watches."""

    def __init__(self, server, file):
        self.process = subprocess.Popen([BIN / "trainyard", "--url", server.url, "--token-file", server.ready["token_file"],
                                         "workflow", "run", file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, timeout=120):
        out, errors = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, errors


def make_file(server, steps=STEPS, **changes):
    return tiny_pipeline(write_tiny_dataset(server.root / "in", 200, 50), steps=steps, **changes)


def tasks_of(server):
    """The tasks of the newest run by name; none while there is no run."""
    runs = server.call("GET", "/api/v1/workflows")[1]["workflows"]
    return {task["name"]: task for task in runs[0]["tasks"]} if runs else {}


def has_begun(server, task):
    """Whether a task of the newest run has left the state WAITING; false while the server is away."""
    try:
        return tasks_of(server).get(task, {}).get("state", "WAITING") != "WAITING"
    except OSError:
        return False


class RecoveryTest(unittest.TestCase):
    def check_effects(self, server, jobs, what=""):
        """One run, which succeeded; one job per task; one version per layer; one version of the model with its alias."""
        runs = server.call("GET", "/api/v1/workflows")[1]["workflows"]
        self.assertEqual([run["state"] for run in runs], ["SUCCEEDED"], what)
        self.assertEqual(sorted(job["name"] for job in server.call("GET", "/api/v1/jobs")[1]["jobs"]), sorted(jobs), what)
        versions = server.call("GET", "/api/v1/datasets/tiny")[1]["versions"]
        self.assertEqual(sorted((v["layer"], v["version"]) for v in versions), [("curated", 1), ("processed", 1), ("raw", 1)], what)
        model = server.call("GET", "/api/v1/models/tiny")[1]
        self.assertEqual((len(model["versions"]), model["aliases"]), (1, {"champion": 1}), what)
        self.assertEqual(list((server.data / "objects").glob("@tmp/*")), [], what)
        for job in server.call("GET", "/api/v1/jobs")[1]["jobs"]:
            expected = "RUNNING" if job["state"] == "RUNNING" else "FINISHED"
            # The end of a run is written behind that of its job.
            wait_until(lambda: server.call("GET", job["links"]["run"])[1].get("status") == expected, timeout=10,
                       what=f"{what}: the run of job {job['name']} as {expected}")


class KilledServerTest(RecoveryTest):
    """The whole graph once undisturbed, then with one kill in the midst of every task."""

    @classmethod
    def setUpClass(cls):
        with Server() as server:
            file = make_file(server, replace=WHOLE)
            done = server.cli("workflow", "run", file, timeout=120)
            if done.returncode != 0:
                raise AssertionError(done.stdout + done.stderr)
            cls.undisturbed = tasks_of(server)

    def check_same_results(self, server):
        for task, figures in (("ingest", ("content_hash",)), ("curate", ("content_hash", "kept")),
                              ("tune", ("best_trial", "best_value", "stopped")),
                              ("train", ("parameter_hash", "steps", "test_accuracy", "model_uri")), ("predict", ("correct",))):
            there = tasks_of(server)[task]["output"]["result"]
            for figure in figures:
                self.assertEqual(there[figure], self.undisturbed[task]["output"]["result"][figure], f"{task}: {figure}")

    def test_server_killed_in_mid_training_comes_back_and_the_watcher_goes_on(self):
        with Server() as server:
            watched = Watched(server, make_file(server, replace=WHOLE))
            wait_until(lambda: has_begun(server, "train"), timeout=60, what="the training")
            job = wait_until(lambda: tasks_of(server)["train"]["output"].get("job_id"), what="the job")
            wait_until(lambda: server.job(job).get("checkpoint"), timeout=60, what="a checkpoint")
            ranks = ranks_of_job(server, job, "trainyard-train")
            self.assertEqual(len(ranks), 2)
            server.kill()
            self.assertEqual(ranks_of_job(server, job, "trainyard-train"), ranks)
            server.restart()
            code, out, errors = watched.end()
            self.assertEqual(code, 0, out + errors)
            self.assertIn("the server does not answer, waiting up to 120 s", errors)
            self.assertIn("the server is back", errors)
            self.assertEqual(server.job(job)["attempt"], 1)
            self.check_effects(server, JOBS_OF_WHOLE)
            self.check_same_results(server)

    def test_server_killed_during_every_task_once(self):
        chance = random.Random(seed())
        for task in WHOLE_TASKS:
            with self.subTest(task=task), Server() as server:
                watched = Watched(server, make_file(server, replace=WHOLE))
                wait_until(lambda: has_begun(server, task), timeout=60, what=task)
                delay = chance.uniform(0, 0.15)
                killer = threading.Timer(delay, server.process.kill)
                killer.start()
                server.process.wait()
                server.restart()
                code, out, errors = watched.end()
                self.assertEqual(code, 0, f"killed {delay} s after the start of {task}: {out}{errors}")
                self.check_effects(server, JOBS_OF_WHOLE, task)
                self.check_same_results(server)

    def test_watcher_that_is_killed_too_can_watch_on(self):
        with Server() as server:
            watched = Watched(server, make_file(server, replace=WHOLE))
            wait_until(lambda: has_begun(server, "curate"), what="curate")
            watched.process.kill()
            watched.end()
            server.kill()
            server.restart()
            done = server.cli("workflow", "watch", "1", timeout=120)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.check_effects(server, JOBS_OF_WHOLE)


class FailpointTest(RecoveryTest):
    """The server dies at one place of the workflow driver after the other, and comes back."""

    JOBS = ["ingest", "curate", "tiny"]

    def short_file(self, server):
        file = make_file(server, steps=30)
        text = file.read_text()
        file.write_text(text[:text.index("  deploy:\n")].replace("{name: mlp}, ", "{name: mlp}, export_onnx: true, "))
        return file

    def run_through(self, name, hit):
        """One pipeline; true when the server died on its way."""
        with Server(failpoints=f"{name}=exit@{hit}") as server:
            watched = Watched(server, self.short_file(server))
            wait_until(lambda: server.process.poll() is not None or watched.process.poll() is not None, timeout=60,
                       what="the end of one of them")
            died = server.process.poll() is not None
            if died:
                self.assertEqual(server.process.returncode, 137)
                server.restart()
            code, out, errors = watched.end()
            self.assertEqual(code, 0, f"{name}@{hit}: {out}{errors}")
            self.check_effects(server, self.JOBS, f"{name}@{hit}")
            return died

    def sweep(self, name, numbers):
        died = list(itertools.takewhile(lambda hit: self.run_through(name, hit), numbers))
        self.assertIn(1, died, f"{name} was never hit")
        print(f"{name}: died at {died}", file=sys.stderr)

    def test_death_around_the_write_of_a_run(self):
        for name in ("workflow.before_commit", "workflow.after_commit"):
            with self.subTest(failpoint=name):
                self.sweep(name, hits((1, 3, 6), 40))

    def test_death_around_the_start_of_every_task(self):
        for name in ("workflow.before_start", "workflow.after_start"):
            with self.subTest(failpoint=name):
                self.sweep(name, hits((1, 4), 6))

    def test_death_between_the_version_and_its_alias(self):
        self.sweep("register.before_alias", (1,))

    def test_death_around_the_launch_and_the_ledger(self):
        for name in ("jobs.before_launch", "jobs.after_launch", "ledger.before_commit", "ledger.after_commit"):
            with self.subTest(failpoint=name):
                self.sweep(name, hits((1, 3), 20))


class KilledRankTest(RecoveryTest):
    """A rank of ingest or curate dies around the writing of its objects and is tried again: still one version of each layer."""

    def test_dead_etl_attempt_is_tried_again_and_publishes_once(self):
        for kind, failpoint, hit in (("ingest", "object.after_write_before_rename", 2), ("ingest", "object.after_rename_before_sync", 1),
                                     ("curate", "object.after_write_before_rename", 1), ("curate", "object.after_rename_before_sync", 4)):
            with self.subTest(kind=kind, failpoint=failpoint, hit=hit), Server() as server:
                mark = server.root / "died"
                dying = (f"      kind: {kind}\n      retry: {{user: 1, backoff_base: 10ms}}\n"
                         f"      env: {{TRAINYARD_FAILPOINTS: \"{failpoint}=exit@{hit}\", TRAINYARD_FAILPOINT_MARK: \"{mark}\"}}\n")
                file = make_file(server, steps=30, replace={f"      kind: {kind}\n": dying})
                done = server.cli("workflow", "run", file, timeout=120)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(mark.read_text(), failpoint)
                self.check_effects(server, ["ingest", "curate", "tiny", "tiny-server", "predict"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
