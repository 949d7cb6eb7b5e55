"""The main job, from the raw Fashion-MNIST files to predictions, by `trainyard demo` and by `trainyard workflow run`."""

import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

from harness import BIN, Server, wait_until
from processes import processes_of, ranks_of_job
from workflow_recovery_test import Watched, tasks_of

PIPELINE = pathlib.Path(__file__).resolve().parents[2] / "examples/fashion-mnist/pipeline.yaml"
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")


def segments():
    """Names of the shared memory of gangs on this machine."""
    return {name for name in os.listdir("/dev/shm") if re.fullmatch(r"trainyard-\d+-\d+-[0-9a-f]{16}", name)}


def attempt_of(checkpoint):
    """The attempt that wrote a checkpoint, by the place of its manifest: ATTEMPT/STEP/MANIFEST below the job's directory."""
    return int(pathlib.Path(checkpoint["manifest"]).parts[-3])


def steps_of(summary):
    return {step["name"]: step for step in summary["steps"]}


@unittest.skipUnless(DATA.exists(), "NOT RUN: the Debian package dataset-fashion-mnist is not installed")
class DemoTest(unittest.TestCase):
    def test_demo_ends_with_a_served_model_and_the_stated_accuracy(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        directory = temporary.name
        out = pathlib.Path(directory) / "summary.json"
        done = subprocess.run([BIN / "trainyard", "demo", "--keep", "--summary-out", out], capture_output=True, text=True,
                              timeout=400, env=dict(os.environ, TMPDIR=directory))
        down = re.search(r"(?m)^ *(\S.* down)$", done.stdout)
        self.assertIsNotNone(down, done.stdout + done.stderr)
        stop = ["sh", "-c", down.group(1)]
        self.addCleanup(subprocess.run, stop, capture_output=True, timeout=60)  # It ends only what is still there.
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        summary = json.loads(out.read_text())
        self.check_figures(summary)
        [place] = pathlib.Path(directory).glob("*/server.json")
        self.check_server(json.loads(place.read_text()), steps_of(summary))
        stopped = subprocess.run(stop, capture_output=True, text=True, timeout=60)
        self.assertEqual(stopped.returncode, 0, stopped.stdout + stopped.stderr)
        wait_until(lambda: not processes_of(directory), what="the end of every process of the demo")
        wait_until(lambda: os.listdir(directory) == ["summary.json"], what="the removal of the temporary directory")

    def check_figures(self, summary):
        steps = steps_of(summary)
        self.assertTrue(summary["ok"])
        self.assertGreaterEqual(summary["test_accuracy"], 0.88)
        print(f"the main job took {summary['seconds']:.1f} s; the target is 120 s on a machine that does nothing else", file=sys.stderr)
        self.assertLess(summary["seconds"], 240)
        self.assertEqual(list(steps), ["ingest", "curate", "tune", "train", "gate", "register", "deploy", "predict"])
        ingest = steps["ingest"]["figures"]
        counts = tuple(ingest[key] for key in ("in", "good", "dead", "train", "test"))
        self.assertEqual(counts, (70040, 70035, 5, 60035, 10000))
        curate = steps["curate"]["figures"]
        self.assertEqual((curate["kept"], curate["dropped_duplicates"], curate["train"], curate["validation"], curate["test"]),
                         (70015, 20, 53978, 6037, 10000))
        self.assertGreaterEqual(steps["tune"]["figures"]["stopped"], 1)
        self.assertLessEqual(steps["train"]["figures"]["max_abs_diff"], 1e-4)
        predict = steps["predict"]["figures"]
        self.assertGreaterEqual(predict["accuracy"], 0.85)
        for figure in ("p50_ms", "p99_ms", "throughput_per_s"):
            self.assertGreater(predict[figure], 0, figure)
        self.assertLessEqual(predict["p50_ms"], predict["p99_ms"])

    def check_server(self, ready, steps):
        """What the server holds when the demo is through: the lineage of the model, and that two trials ran at a time."""
        def get(path):
            token = pathlib.Path(ready["token_file"]).read_text().strip()
            request = urllib.request.Request(ready["url"] + path, headers={"Authorization": "Bearer " + token})
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)

        jobs = get("/api/v1/jobs")["jobs"]
        [train] = [job for job in jobs if job["name"] == "fashion-cnn"]
        model = get("/api/v1/models/fashion")
        self.assertEqual(model["aliases"], {"champion": 1})
        [version] = model["versions"]
        self.assertEqual((version["version"], version["lineage"]), (1, {"run": train["run_id"], "dataset": "fashion@1/curated"}))
        self.assertEqual((version["source"], train["spec"]["inputs"]), (train["result"]["model_uri"], {"data": "fashion@1/curated"}))
        self.assertEqual(get("/api/v1/runs/" + train["run_id"])["status"], "FINISHED")
        self.assertIn("curated", [entry["layer"] for entry in get("/api/v1/datasets/fashion")["versions"]])

        trials = [job for job in jobs if re.fullmatch(r"fashion-trial-\d", job["name"])]
        self.assertEqual(len(trials), 4)
        self.assertEqual(sum(job["result"]["stopped"] for job in trials), steps["tune"]["figures"]["stopped"])
        # An end and a start at the same moment are no overlap: ends come first. The times have one form, so their texts sort.
        changes = sorted([(job["ended_at"], -1) for job in trials] + [(job["started_at"], 1) for job in trials])
        at_a_time = list(itertools.accumulate(change for _, change in changes))
        self.assertEqual(max(at_a_time), 2, [(job["name"], job["started_at"], job["ended_at"]) for job in trials])

    def test_killed_demo_leaves_no_process(self):
        with tempfile.TemporaryDirectory() as directory:
            demo = subprocess.Popen([BIN / "trainyard", "demo", "--data", directory], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until(lambda: processes_of(directory, "trainyard-etl"), what="the first job")
            demo.send_signal(signal.SIGKILL)
            demo.wait()
            wait_until(lambda: not processes_of(directory), timeout=45, what="the end of everything")

    def test_killed_demo_without_data_directory_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as directory:
            shared = segments()
            demo = subprocess.Popen([BIN / "trainyard", "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                    env=dict(os.environ, TMPDIR=directory))
            # The ranks of the gang look for each other in shared memory within a second or two of this line.
            for line in demo.stdout:
                if line.startswith("train ") and "RUNNING" in line:
                    break
            self.assertIsNone(demo.poll(), "the demo ended before the training")
            deadline = time.monotonic() + 3
            while segments() == shared and time.monotonic() < deadline:
                time.sleep(0.001)
            demo.kill()
            demo.communicate()
            wait_until(lambda: not os.listdir(directory), timeout=45, what="an empty temporary directory")
            self.assertEqual(segments() - shared, set())
            self.assertEqual(processes_of(directory), [])


class FashionCase(unittest.TestCase):
    """One server for the whole class, on which the real data was ingested and curated."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        text = PIPELINE.read_text()
        cls.run_whole(text[:text.index("  tune:\n")])

    @classmethod
    def write_pipeline(cls, text):
        file = cls.server.root / "part.yaml"
        file.write_text(text.replace("${workflow.directory}", str(PIPELINE.parent)))
        return file

    @classmethod
    def run_whole(cls, text):
        done = cls.server.cli("workflow", "run", cls.write_pipeline(text), timeout=120)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)


@unittest.skipUnless(DATA.exists(), "NOT RUN: the Debian package dataset-fashion-mnist is not installed")
class KilledTrainingTest(FashionCase):
    """A gang under `workflow run` that loses a rank, its warden, or one after the other its server, a rank and its warden.

    Each time it goes on from a checkpoint that is not older than the one the job knew of when the kill came, and ends with the parameters
    of an undisturbed run, bit for bit. Metrics come at every step, so that the first one of an attempt tells where it began.
    """

    STEPS_OF_EPOCH = 53978 // 64
    TRAINING = """\
workflow: killed
tasks:
  train:
    job:
      kind: train
      name: small
      tasks: 2
      resources: {cpu: 500m, memory: 512MiB}
      inputs: {data: fashion@latest/curated}
      retry: {backoff_base: 10ms}
      config: {model: {name: mlp}, steps: 2000, batch_size: 64, checkpoint_every: 300ms, report_every_steps: 1, export_onnx: false}
"""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_whole(cls.TRAINING)
        cls.undisturbed = tasks_of(cls.server)["train"]["output"]["result"]

    def start(self):
        """Begins a run of the pipeline; the watching client and the id of the training."""
        before = len(self.server.call("GET", "/api/v1/workflows")[1]["workflows"])
        watched = Watched(self.server, self.write_pipeline(self.TRAINING))
        self.addCleanup(watched.process.communicate)
        self.addCleanup(watched.process.kill)
        wait_until(lambda: len(self.server.call("GET", "/api/v1/workflows")[1]["workflows"]) > before, what="the run")
        return watched, wait_until(lambda: tasks_of(self.server)["train"]["output"].get("job_id"), what="the training")

    def checkpoint_of_attempt(self, job, attempt):
        """The step of the newest checkpoint, once the given attempt has written it itself and trained on beyond it."""
        def known():
            checkpoint = self.server.job(job).get("checkpoint")
            return checkpoint if checkpoint and attempt_of(checkpoint) == attempt else None

        written = wait_until(known, timeout=60, what=f"a checkpoint of attempt {attempt}")

        def beyond():
            job_now = self.server.job(job)
            step = job_now["metrics"]["loss"]["step"]
            return step > written["step"] and step % self.STEPS_OF_EPOCH != 0 and job_now

        job_now = wait_until(beyond, timeout=60, what=f"a step of attempt {attempt} in mid-epoch after its checkpoint {written}")
        self.assertEqual((job_now["state"], job_now["attempt"]), ("RUNNING", attempt))
        self.assertEqual(attempt_of(job_now["checkpoint"]), attempt)
        return job_now["checkpoint"]["step"]

    def first_step_after(self, job, milliseconds):
        """The lowest step among the metrics that were taken after a moment."""
        run = self.server.job(job)["run_id"]
        history = self.server.call("GET", f"/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key=loss&max_results=25000")[1]
        return min(point["step"] for point in history["metrics"] if int(point["timestamp"]) > milliseconds)

    def kill_rank(self, job):
        ranks = ranks_of_job(self.server, job, "trainyard-train")
        self.assertEqual(len(ranks), 2)
        os.kill(ranks[0], signal.SIGKILL)

    def kill_warden(self, _):
        os.kill(self.server.warden_pid(), signal.SIGKILL)

    def end_attempt(self, job, attempt, kill):
        """Kills in the midst of an attempt and waits for the next; (step of the checkpoint then, moment of the kill in ms)."""
        step = self.checkpoint_of_attempt(job, attempt)
        self.assertGreater(step, 0)
        kill(job)
        moment = int(time.time() * 1000)
        wait_until(lambda: self.server.job(job)["attempt"] == attempt + 1, timeout=60, what=f"attempt {attempt + 1}")
        return step, moment

    def check_end(self, watched, job, kills):
        """The training ended as if undisturbed, in as many attempts as there were kills and one, each of which went on where it had to."""
        code, out, errors = watched.end()
        self.assertEqual(code, 0, out + errors)
        ended = self.server.job(job)
        self.assertEqual((ended["state"], ended["attempt"]), ("SUCCEEDED", len(kills) + 1), ended["reason"])
        self.assertGreaterEqual(ended["result"]["resumed_from_step"], kills[-1][0])
        for attempt, (step, moment) in enumerate(kills, start=2):
            begun = self.first_step_after(job, moment)
            print(f"attempt {attempt} began with step {begun}, the newest checkpoint was at step {step}", file=sys.stderr)
            self.assertGreater(begun, step, f"attempt {attempt} began before the newest checkpoint")
        result = tasks_of(self.server)["train"]["output"]["result"]
        for figure in ("parameter_hash", "steps", "test_accuracy", "validation_accuracy"):
            self.assertEqual(result[figure], self.undisturbed[figure], figure)

    def test_killed_rank_changes_no_bit(self):
        watched, job = self.start()
        self.check_end(watched, job, [self.end_attempt(job, 1, self.kill_rank)])

    def test_killed_warden_changes_no_bit(self):
        watched, job = self.start()
        self.check_end(watched, job, [self.end_attempt(job, 1, self.kill_warden)])

    def test_killed_server_rank_and_warden_change_no_bit(self):
        watched, job = self.start()
        self.checkpoint_of_attempt(job, 1)
        self.server.kill()
        self.server.restart()
        first = self.end_attempt(job, 1, self.kill_rank)
        second = self.end_attempt(job, 2, self.kill_warden)
        self.assertGreater(second[0], first[0])
        self.check_end(watched, job, [first, second])


@unittest.skipUnless(DATA.exists(), "NOT RUN: the Debian package dataset-fashion-mnist is not installed")
class PublishedRequestTest(FashionCase):
    def test_published_training_request_starts_reports_and_is_cancelled(self):
        server = self.server
        status, job = server.call("POST", "/api/v1/jobs", {
            "model_config": {"architecture": "resnet18", "num_classes": 10},
            "training_config": {"epochs": 10, "batch_size": 32, "learning_rate": 0.001, "world_size": 2}, "dataset": "fashion"})
        self.assertEqual(status, 201, job)
        wait_until(lambda: server.job(job["id"]).get("metrics"), timeout=120, what="the first metrics")
        server.call("DELETE", f"/api/v1/jobs/{job['id']}")
        self.assertEqual(server.wait(job["id"], timeout=60)["state"], "CANCELLED")


if __name__ == "__main__":
    unittest.main(verbosity=2)
