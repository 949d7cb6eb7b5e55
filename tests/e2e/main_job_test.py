"""The main job, from the raw Fashion-MNIST files to predictions, by `trainyard demo` and by `trainyard workflow run`."""

import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

from harness import BIN, Server, process_alive, wait_until

PIPELINE = pathlib.Path(__file__).resolve().parents[2] / "examples/fashion-mnist/pipeline.yaml"
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")


def segments():
    """Names of the shared memory of gangs on this machine."""
    return {name for name in os.listdir("/dev/shm") if re.fullmatch(r"trainyard-\d+-\d+-[0-9a-f]{16}", name)}


def steps_of(summary):
    return {step["name"]: step for step in summary["steps"]}


@unittest.skipUnless(DATA.exists(), "NOT RUN: the Debian package dataset-fashion-mnist is not installed")
class DemoTest(unittest.TestCase):
    def test_demo_ends_with_a_served_model_and_the_stated_accuracy(self):
        with tempfile.TemporaryDirectory() as directory:
            out = pathlib.Path(directory) / "summary.json"
            environment = dict(os.environ, TMPDIR=directory)
            done = subprocess.run([BIN / "trainyard", "demo", "--summary-out", out], capture_output=True, text=True,
                                  timeout=400, env=environment)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            summary = json.loads(out.read_text())
            steps = steps_of(summary)
            self.assertTrue(summary["ok"])
            self.assertGreaterEqual(summary["test_accuracy"], 0.88)
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
            self.assertGreaterEqual(steps["predict"]["figures"]["accuracy"], 0.85)
            self.assertEqual([p.name for p in pathlib.Path(directory).iterdir()], ["summary.json"])

    def test_killed_demo_leaves_no_process(self):
        with tempfile.TemporaryDirectory() as directory:
            demo = subprocess.Popen([BIN / "trainyard", "demo", "--data", directory], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until(lambda: subprocess.run(["pgrep", "-f", "trainyard-etl"], capture_output=True).returncode == 0, what="the first job")
            demo.send_signal(signal.SIGKILL)
            demo.wait()
            wait_until(lambda: subprocess.run(["pgrep", "-f", directory], capture_output=True).returncode == 1,
                       timeout=45, what="the end of everything")


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
            self.assertEqual(subprocess.run(["pgrep", "-f", directory], capture_output=True).returncode, 1)


@unittest.skipUnless(DATA.exists(), "NOT RUN: the Debian package dataset-fashion-mnist is not installed")
class KilledTrainingTest(unittest.TestCase):
    """One undisturbed run, then one that loses its server, a rank and its warden: the parameters end up the same, bit for bit."""

    JOB = {"kind": "train", "name": "small", "tasks": 2, "resources": {"cpu": "500m"}, "inputs": {"data": "fashion"},
           "retry": {"user": 5, "backoff_base": "10ms"},
           "config": {"model": {"name": "mlp"}, "steps": 1500, "batch_size": 64, "checkpoint_every": "300ms", "export_onnx": False}}

    def prepare(self, server):
        text = PIPELINE.read_text()
        head = text[:text.index("  tune:\n")]
        file = server.root / "data.yaml"
        file.write_text(head.replace("${workflow.directory}", str(PIPELINE.parent)))
        done = server.cli("workflow", "run", file, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def submit(self, server):
        status, job = server.call("POST", "/api/v1/jobs", self.JOB)
        self.assertEqual(status, 201, job)
        return job["id"]

    def checkpoint_after(self, server, job, step):
        return wait_until(lambda: (server.job(job).get("checkpoint") or {}).get("step", 0) > step and server.job(job)["checkpoint"]["step"],
                          timeout=60, what=f"a checkpoint after step {step}")

    def rank_pids(self, server, job):
        names = subprocess.run(["pgrep", "-f", "^trainyard-train|/trainyard-train"], capture_output=True, text=True).stdout.split()
        return [int(pid) for pid in names
                if f"TRAINYARD_JOB_ID={job}\0" in pathlib.Path(f"/proc/{pid}/environ").read_text(errors="replace")]

    def test_server_rank_and_warden_are_killed_and_the_bits_stay_the_same(self):
        with Server() as server:
            self.prepare(server)
            undisturbed = server.wait(self.submit(server), timeout=120)
            self.assertEqual(undisturbed["state"], "SUCCEEDED", undisturbed["reason"])

            job = self.submit(server)
            step = self.checkpoint_after(server, job, 0)
            server.kill()
            server.restart()
            os.kill(self.rank_pids(server, job)[0], signal.SIGKILL)
            wait_until(lambda: server.job(job)["attempt"] == 2, timeout=60, what="the second attempt")
            self.checkpoint_after(server, job, step)
            os.kill(server.warden_pid(), signal.SIGKILL)
            ended = server.wait(job, timeout=120)
            self.assertEqual((ended["state"], ended["attempt"]), ("SUCCEEDED", 3), ended["reason"])
            self.assertGreater(ended["result"]["resumed_from_step"], 0)
            self.assertEqual(ended["result"]["parameter_hash"], undisturbed["result"]["parameter_hash"])

    def test_published_training_request_starts_reports_and_is_cancelled(self):
        with Server() as server:
            self.prepare(server)
            status, job = server.call("POST", "/api/v1/jobs", {
                "model_config": {"architecture": "resnet18", "num_classes": 10},
                "training_config": {"epochs": 10, "batch_size": 32, "learning_rate": 0.001, "world_size": 2}, "dataset": "fashion"})
            self.assertEqual(status, 201, job)
            wait_until(lambda: server.job(job["id"]).get("metrics"), timeout=120, what="the first metrics")
            server.call("DELETE", f"/api/v1/jobs/{job['id']}")
            self.assertEqual(server.wait(job["id"], timeout=60)["state"], "CANCELLED")


if __name__ == "__main__":
    unittest.main(verbosity=2)
