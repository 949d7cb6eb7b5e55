"""What stands in when something is missing: a read-only server for a full disk, synthetic rows for a dataset nobody has."""

import json
import pathlib
import subprocess
import unittest

from harness import BIN, Server

PIPELINE = """\
workflow: stand-in
tasks:
  train:
    job:
      kind: train
      resources: {cpu: 500m}
      inputs: {data: fashion}
      config: {model: {name: mlp}, steps: 40, batch_size: 50}
  gate:
    gate: {metric: test_accuracy, value: "${tasks.train.result.test_accuracy}", at_least: 0.0}
"""

REGISTER = """\
workflow: around-the-gate
tasks:
  register:
    register: {model: fashion, uri: "URI", run_id: "RUN", dataset: "DATASET"}
"""

PUBLISHED_REQUEST = {"model_config": {"architecture": "resnet18", "num_classes": 10},
                     "training_config": {"epochs": 10, "batch_size": 32, "learning_rate": 0.001, "world_size": 2},
                     "dataset": "cifar10"}


class FullDiskTest(unittest.TestCase):
    def test_server_that_starts_on_a_full_disk_reads_refuses_changes_and_says_why(self):
        with Server() as server:
            job = server.submit("echo", "kept")
            server.wait(job)
            server.process.terminate()
            server.process.wait(timeout=20)

            server.restart(failpoints="server.probe_disk=disk_full")
            self.assertEqual(server.job(job)["state"], "SUCCEEDED")
            self.assertEqual(server.logs(job), "kept\n")
            self.assertEqual(len(server.call("GET", "/api/v1/jobs")[1]["jobs"]), 1)
            for method, path, body in (("POST", "/api/v1/jobs", {"command": ["true"]}), ("DELETE", f"/api/v1/jobs/{job}", None),
                                       ("POST", "/api/v1/workflows:run", {"workflow": "x"}),
                                       ("POST", "/api/2.0/mlflow/experiments/create", {"name": "x"})):
                status, problem = server.call(method, path, body, {"Content-Type": "application/json"})
                self.assertEqual(status, 503, path)
                self.assertIn("the disk was full", json.dumps(problem), path)
            self.assertEqual(server.call("GET", "/readyz", token="")[0], 503)
            self.assertEqual(server.call("GET", "/healthz", token="")[0], 200)
            self.assertIn("make room and restart", (server.root / "server.log").read_text())

            # `down` ends it, and with room it works again.
            self.assertEqual(server.cli("down").returncode, 0)
            server.process.wait(timeout=20)
            server.restart()
            self.assertEqual(server.wait(server.submit("true"))["state"], "SUCCEEDED")

    def test_new_directory_on_a_full_disk_is_refused_with_the_reason(self):
        with Server() as server:
            fresh = server.root / "fresh"
            done = subprocess.run([BIN / "trainyard", "up", "--data", fresh, "--port", "0"], capture_output=True, text=True, timeout=20,
                                  env={"TRAINYARD_FAILPOINTS": "server.probe_disk=disk_full"})
            self.assertEqual(done.returncode, 1)
            self.assertIn("No space left on device", done.stderr)
            self.assertIn(str(fresh), done.stderr)


class SyntheticFallbackTest(unittest.TestCase):
    def test_missing_dataset_is_an_error_that_names_the_ways_to_get_it(self):
        with Server() as server:
            status, problem = server.call("POST", "/api/v1/jobs", {**PUBLISHED_REQUEST, "dataset": "imagenet"})
            self.assertEqual((status, problem["code"]), (404, "catalog.unknown_dataset"))
            for way in ("trainyard workflow run", "/api/v1/datasets/imagenet/versions", "trainyard dataset ls",
                        "--datasets.synthetic-fallback"):
                self.assertIn(way, problem["detail"])
            self.assertEqual(server.call("GET", "/api/v1/datasets")[1]["datasets"], [])

    def test_stand_in_trains_is_tagged_and_passes_neither_gate_nor_register(self):
        with Server("--datasets.synthetic-fallback") as server:
            file = server.root / "pipeline.yaml"
            file.write_text(PIPELINE)
            done = server.cli("workflow", "run", file, timeout=120)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("synthetic data", done.stdout + done.stderr)
            run = server.call("GET", "/api/v1/workflows/1")[1]
            tasks = {task["name"]: task for task in run["tasks"]}
            self.assertEqual((tasks["train"]["state"], tasks["gate"]["state"]), ("SUCCEEDED", "FAILED"))
            output = tasks["train"]["output"]
            # The stand-in can be learned: far above the 0.1 of guessing.
            self.assertGreater(output["result"]["test_accuracy"], 0.5)
            self.assertTrue(server.job(output["job_id"])["synthetic"])

            self.assertTrue(server.call("GET", "/api/v1/datasets/fashion/versions/1")[1]["properties"]["synthetic"])
            tracked = server.call("GET", f"/api/v1/runs/{output['run_id']}")[1]
            self.assertIn('"synthetic"', json.dumps(tracked))
            found = server.call("POST", "/api/2.0/mlflow/runs/search", {"experiment_ids": ["0"], "filter": "tags.synthetic = 'true'"},
                                {"Content-Type": "application/json"})[1]
            self.assertEqual([r["info"]["run_id"] for r in found["runs"]], [output["run_id"]])

            # Registering what skipped the gate is refused by its run, by its dataset, and over the API.
            uri = output["result"]["model_uri"]
            for run_id, dataset in ((output["run_id"], ""), ("", output["inputs"]["data"])):
                file.write_text(REGISTER.replace("URI", uri).replace("RUN", run_id).replace("DATASET", dataset))
                done = server.cli("workflow", "run", file, timeout=60)
                self.assertEqual(done.returncode, 1)
                self.assertIn("synthetic", done.stdout + done.stderr)
            status, problem = server.call("POST", "/api/v1/models/fashion/versions", {"source": uri, "run_id": output["run_id"]})
            self.assertGreaterEqual(status, 400, problem)
            self.assertIn("synthetic", json.dumps(problem))
            self.assertEqual(server.call("GET", "/api/v1/models")[1]["models"], [])

            # A server without the fallback does not use what another one made up.
            server.kill()
            server.options = []
            server.restart()
            status, problem = server.call("POST", "/api/v1/jobs", {"training_config": {"epochs": 2, "batch_size": 32}})
            self.assertEqual((status, problem["code"]), (404, "catalog.unknown_dataset"))

    def test_published_request_with_a_colour_dataset_starts_on_the_stand_in(self):
        with Server("--datasets.synthetic-fallback") as server:
            status, job = server.call("POST", "/api/v1/jobs", PUBLISHED_REQUEST)
            self.assertEqual(status, 201, job)
            self.assertEqual(job["spec"]["inputs"]["data"], "cifar10@1/curated")
            self.assertEqual(job["spec"]["tasks"], 2)
            server.call("DELETE", f"/api/v1/jobs/{job['id']}")
            self.assertEqual(server.wait(job["id"], timeout=60)["state"], "CANCELLED")


if __name__ == "__main__":
    unittest.main(verbosity=2)
