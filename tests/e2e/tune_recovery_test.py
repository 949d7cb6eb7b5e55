"""A rank of a trial, and the warden of all of them, killed in the middle of a study: it goes on and decides as if nothing had happened.

Two places, four trials that fill one each, one rung. A trial that lost its place finds both taken by later trials, which wait at the rung
for its value: somebody has to make room, or all wait for ever.
"""

import os
import signal
import unittest

from harness import Server, wait_until
from processes import ranks_of_job
from tiny_data import tiny_pipeline, write_tiny_dataset
from workflow_recovery_test import Watched, tasks_of

RUNG = 1500
TUNE = f"""\
  tune:
    after: curate
    tune:
      metric: validation_accuracy
      job:
        kind: train
        name: study
        resources: {{cpu: 900m, memory: 256MiB}}
        inputs: {{data: tiny@latest/curated}}
        config:
          model: {{name: mlp}}
          steps: {RUNG + 500}
          batch_size: 16
          checkpoint_every: 100ms
          export_onnx: false
          trial: {{rung_steps: [{RUNG}]}}
      points: [{{learning_rate: 0.000005}}, {{learning_rate: 0.05}}, {{learning_rate: 0.000002}}, {{learning_rate: 0.02}}]
"""


class TuneRecoveryTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with Server("--cpus", "2") as server:
            done = server.cli("workflow", "run", cls.make_file(server), timeout=120)
            if done.returncode != 0:
                raise AssertionError(done.stdout + done.stderr)
            cls.undisturbed = cls.outcome(server)

    @staticmethod
    def make_file(server, replace=None):
        """ingest, curate and the study."""
        file = tiny_pipeline(write_tiny_dataset(server.root / "in", 400, 50))
        text = file.read_text()
        tune = TUNE
        for old, new in (replace or {}).items():
            assert old in tune, old
            tune = tune.replace(old, new)
        file.write_text(text[:text.index("  train:\n")] + tune)
        return file

    @staticmethod
    def outcome(server):
        """What the study found, and the parameters of each trial."""
        result = tasks_of(server)["tune"]["output"]["result"]
        trials = [(trial["state"], trial["stopped"], trial.get("value"), server.job(trial["job_id"])["result"]["parameter_hash"])
                  for trial in result["trials"]]
        return {"best": (result["best_trial"], result["best"], result["best_value"]), "stopped": result["stopped"], "trials": trials}

    @staticmethod
    def in_the_middle(server):
        """The ids of the two trials that run, when both have a checkpoint and none has come to the rung."""
        trials = tasks_of(server).get("tune", {}).get("output", {}).get("result", {}).get("trials", [])
        jobs = [server.job(trial["job_id"]) for trial in trials[:2] if trial["job_id"] not in ("", "0")]
        if len(jobs) < 2 or not all(job["state"] == "RUNNING" and job.get("checkpoint") for job in jobs):
            return None
        return jobs if all(job["checkpoint"]["step"] < RUNG and not job.get("rungs") for job in jobs) else None

    def check_same_outcome(self, server, watched, killed):
        try:
            code, out, errors = watched.end(timeout=90)
        except Exception:
            watched.process.kill()
            tune = tasks_of(server)["tune"]["output"]
            states = [(job["name"], job["state"], job["attempt"], job["reason"]) for job in server.call("GET", "/api/v1/jobs")[1]["jobs"]]
            self.fail(f"the study did not end: {tune}\n{states}")
        self.assertEqual(code, 0, out + errors)
        self.assertEqual(self.outcome(server), self.undisturbed)
        for before in killed:
            after = server.job(before["id"])
            self.assertGreaterEqual(after["attempt"], 2, after["name"])
            self.assertGreaterEqual(after["result"]["resumed_from_step"], before["checkpoint"]["step"], after["name"])

    def test_undisturbed_study_stops_some_trials_and_not_all(self):
        self.assertEqual([stopped for _, stopped, _, _ in self.undisturbed["trials"]], [False, False, True, False])
        self.assertEqual(self.undisturbed["stopped"], 1)
        self.assertNotEqual(self.undisturbed["best"][0], 0)

    def test_killed_rank_of_the_first_trial_changes_nothing(self):
        with Server("--cpus", "2") as server:
            watched = Watched(server, self.make_file(server))
            first = wait_until(lambda: self.in_the_middle(server), timeout=60, what="two trials before the rung")[0]
            ranks = ranks_of_job(server, first["id"], "trainyard-train")
            self.assertEqual(len(ranks), 1)
            os.kill(ranks[0], signal.SIGKILL)
            self.check_same_outcome(server, watched, [first])
            # The third trial took the free place at once, so that one that was not killed had to give its place to the first.
            trials = [job for job in server.call("GET", "/api/v1/jobs")[1]["jobs"] if "trial" in job["name"]]
            self.assertGreater(max(job["attempt"] for job in trials if job["id"] != first["id"]), 1)

    def test_killed_warden_changes_nothing(self):
        with Server("--cpus", "2") as server:
            watched = Watched(server, self.make_file(server))
            both = wait_until(lambda: self.in_the_middle(server), timeout=60, what="two trials before the rung")
            os.kill(server.warden_pid(), signal.SIGKILL)
            self.check_same_outcome(server, watched, both)


if __name__ == "__main__":
    unittest.main(verbosity=2)
