"""Full disks, damaged files and damaged databases, through the real programs. Disks are full by failpoint."""

import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import unittest

from harness import BIN, Server, wait_until
from processes import ranks_of_job
from tiny_data import tiny_pipeline, write_tiny_dataset


def make_file(server, **changes):
    return tiny_pipeline(write_tiny_dataset(server.root / "in", 200, 50), **changes)


def with_failpoint(kind, failpoint, action="disk_full"):
    """A change of the pipeline: jobs of this kind run with a failpoint."""
    return {f"      kind: {kind}\n": f"      kind: {kind}\n      env: {{TRAINYARD_FAILPOINTS: \"{failpoint}={action}\"}}\n"}


def flip(path, at, count=1):
    """Changes bytes of a file; stored objects are read-only."""
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(at)
        old = file.read(count)
        file.seek(at)
        file.write(bytes(byte ^ 0x5a for byte in old))


class FaultTest(unittest.TestCase):
    def layers(self, server):
        status, dataset = server.call("GET", "/api/v1/datasets/tiny")
        return sorted((v["layer"], v["version"]) for v in dataset["versions"]) if status == 200 else []

    def models(self, server):
        status, model = server.call("GET", "/api/v1/models/tiny")
        return len(model["versions"]) if status == 200 else 0

    def check_nothing_unfinished(self, server):
        self.assertEqual(list((server.data / "objects").glob("@tmp/*")), [])
        self.assertEqual(list(server.data.glob("work/*/*/etl-scratch")), [])

    def check_failed(self, done, *words):
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for word in words:
            self.assertIn(str(word), done.stderr)


ALL_LAYERS = [("curated", 1), ("processed", 1), ("raw", 1)]


class FullDiskTest(FaultTest):
    def test_full_disk_in_a_data_job_publishes_nothing_and_the_next_run_does(self):
        for kind, failpoint, before in (("ingest", "etl.disk_full", []), ("ingest", "object.after_write_before_rename=disk_full@2", []),
                                        ("curate", "etl.disk_full", [("raw", 1)]),
                                        ("curate", "object.after_write_before_rename=disk_full@5", [("raw", 1)])):
            with self.subTest(kind=kind, failpoint=failpoint), Server() as server:
                name, _, action = failpoint.partition("=")
                done = server.cli("workflow", "run", make_file(server, replace=with_failpoint(kind, name, action or "disk_full")))
                self.check_failed(done, f"task {kind}", "io.disk_full", "No space left on device", "free some space")
                self.assertEqual(self.layers(server), before)
                self.check_nothing_unfinished(server)
                again = server.cli("workflow", "run", make_file(server))
                self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
                self.assertEqual(self.models(server), 1)

    def test_full_disk_at_a_checkpoint_is_a_warning_and_training_goes_on(self):
        with Server() as server:
            full = with_failpoint("train", "checkpoint.after_write_before_manifest")
            done = server.cli("workflow", "run", make_file(server, replace=full))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            job = next(job for job in server.call("GET", "/api/v1/jobs")[1]["jobs"] if job["kind"] == "train")
            log = server.logs(job["id"])
            self.assertIn("warning: io.disk_full", log)
            self.assertIn("while writing a periodic checkpoint", log)
            self.assertEqual(list(server.data.glob(f"checkpoints/{job['id']}/*/*/MANIFEST")), [])

    def test_full_disk_at_the_export_registers_nothing(self):
        with Server() as server:
            done = server.cli("workflow", "run", make_file(server, replace=with_failpoint("train", "object.after_write_before_rename")))
            self.check_failed(done, "task train", "io.disk_full")
            self.assertEqual((self.layers(server), self.models(server)), (ALL_LAYERS, 0))
            self.check_nothing_unfinished(server)

    def test_full_disk_at_the_log_loses_no_line(self):
        for failpoint in ("log.before_append", "log.after_append_before_sync"):
            with self.subTest(failpoint=failpoint), Server(failpoints=f"{failpoint}=disk_full@2") as server:
                job = server.submit("sh", "-c", "for i in 1 2 3 4 5 6; do echo line $i; sleep 0.1; done")
                self.assertEqual(server.wait(job)["state"], "SUCCEEDED")
                self.assertEqual(server.logs(job).splitlines(), [f"line {i}" for i in range(1, 7)])
                self.assertIn("io.disk_full", (server.root / "server.log").read_text())

    def test_full_disk_at_an_artifact_of_a_client_answers_so_and_stores_nothing(self):
        with Server(failpoints="object.after_write_before_rename=disk_full") as server:
            created = server.call("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0"}, {"Content-Type": "application/json"})[1]
            path = f"/api/2.0/mlflow-artifacts/artifacts/0/{created['run']['info']['run_id']}/artifacts/a.txt"
            status, problem = server.call("PUT", path, b"content")
            self.assertIn(status, (429, 507), problem)
            self.assertIn("No space left on device", json.dumps(problem))
            self.assertEqual(server.call("GET", path)[0], 404)
            self.check_nothing_unfinished(server)
            self.assertEqual(server.call("PUT", path, b"content")[0], 200)
            self.assertEqual(server.call("GET", path)[1], "content")

    def test_full_disk_at_a_commit_ends_the_server_with_a_message_and_the_pipeline_goes_on_later(self):
        for failpoint in ("ledger.after_write_before_commit=disk_full@5", "workflow.before_commit=disk_full@4"):
            with self.subTest(failpoint=failpoint), Server(failpoints=failpoint) as server:
                watched = subprocess.Popen([BIN / "trainyard", "--url", server.url, "--token-file", server.ready["token_file"],
                                            "workflow", "run", make_file(server)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                           text=True)
                server.process.wait(timeout=30)
                self.assertEqual(server.process.returncode, 70)
                log = (server.root / "server.log").read_text()
                self.assertIn("server.fatal", log)
                self.assertIn("io.disk_full", log)
                self.assertIn("free some space and start again", log)
                server.restart()
                out, errors = watched.communicate(timeout=60)
                self.assertEqual(watched.returncode, 0, out + errors)
                self.assertEqual((self.layers(server), self.models(server)), (ALL_LAYERS, 1))

    def test_unacknowledged_submit_on_a_full_disk_is_not_there_afterwards(self):
        with Server(failpoints="ledger.after_write_before_commit=disk_full@2") as server:
            kept = server.submit("true", key="kept")
            refused = None
            try:
                for number in range(20):
                    refused = f"refused-{number}"
                    server.submit("true", key=refused)
            except OSError:
                pass
            server.process.wait(timeout=20)
            server.restart()
            self.assertEqual(server.wait(kept)["state"], "SUCCEEDED")
            self.assertEqual(server.submit("true", key="kept"), kept)
            self.assertEqual(server.wait(server.submit("true", key=refused))["state"], "SUCCEEDED")


class DamagedObjectTest(FaultTest):
    """What is read is checked: the next one who reads a damaged object says so, and makes nothing of it."""

    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.close)
        self.file = make_file(self.server)
        done = self.server.cli("workflow", "run", self.file)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def path_of(self, layer, role):
        version = self.server.call("GET", f"/api/v1/datasets/tiny/versions/1?layer={layer}")[1]
        uri = next(file["uri"] for file in version["files"] if file["role"] == role)
        return self.server.data / "objects" / uri.removeprefix("ty://")

    def run_from(self, task, upto):
        """The tasks of the pipeline from one to another, over what the first run made."""
        text = self.file.read_text()
        tasks = text[text.index(f"  {task}:\n"):text.index(f"  {upto}:\n")] if upto else text[text.index(f"  {task}:\n"):]
        file = self.server.root / "part.yaml"
        file.write_text("workflow: part\ntasks:\n" + "\n".join(line for line in tasks.split("\n") if not line.startswith("    after:")))
        return self.server.cli("workflow", "run", file)

    def test_damaged_pack_is_not_trained_on(self):
        pack = self.path_of("curated", "pack:train")
        flip(pack, 4096 + 12345)
        self.check_failed(self.run_from("train", "gate"), "task train", "data.pack", "do not match their checksum",
                          "rebuild it with a curate job", pack, "exit code 65")

    def test_shortened_pack_is_not_even_handed_out(self):
        pack = self.path_of("curated", "pack:validation")
        os.chmod(pack, 0o600)
        os.truncate(pack, pack.stat().st_size - 785)
        self.check_failed(self.run_from("train", "gate"), "task train", "object.corrupt", f"instead of {pack.stat().st_size + 785}",
                          pack.name)

    def test_damaged_table_is_not_curated(self):
        table = self.path_of("raw", "parquet:train")
        flip(table, table.stat().st_size // 2)
        self.check_failed(self.run_from("curate", "train"), "task curate", "data.damaged_file", "publish the version again", table,
                          "exit code 65")
        self.assertEqual(self.layers(self.server), ALL_LAYERS)
        self.check_nothing_unfinished(self.server)

    def test_damaged_model_is_not_served(self):
        model = next((self.server.data / "objects/models").glob("*.onnx"))
        flip(model, model.stat().st_size // 2)
        text = self.file.read_text()
        serve = text[text.index("  deploy:\n"):text.index("  predict:\n")]
        file = self.server.root / "part.yaml"
        file.write_text("workflow: part\ntasks:\n" + serve.replace("${tasks.register.result.version}", "1").replace(
            "${tasks.train.result.model_uri}", f"ty://models/{model.name}"))
        self.check_failed(self.server.cli("workflow", "run", file), "task deploy", "object.corrupt", "do not match", model.name,
                          "exit code 65")

    def test_removed_object_is_named(self):
        pack = self.path_of("curated", "pack:train")
        pack.unlink()
        self.check_failed(self.run_from("train", "gate"), "task train", pack.name)


class DamagedCheckpointTest(FaultTest):
    JOB = {"kind": "train", "name": "long", "resources": {"cpu": "500m"}, "inputs": {"data": "tiny"},
           "retry": {"user": 2, "backoff_base": "10ms"},
           "config": {"model": {"name": "mlp"}, "steps": 3000, "batch_size": 16, "checkpoint_every": "150ms", "keep_checkpoints": 4,
                      "export_onnx": False}}

    def steps_of(self, server, job):
        """Steps of the checkpoints that are whole, newest first."""
        return sorted((int(path.parent.name) for path in server.data.glob(f"checkpoints/{job}/1/*/MANIFEST")), reverse=True)

    def submit(self, server):
        status, job = server.call("POST", "/api/v1/jobs", self.JOB)
        self.assertEqual(status, 201, job)
        return job["id"]

    def test_damaged_newest_checkpoint_is_skipped_for_the_one_before(self):
        with Server() as server:
            text = make_file(server).read_text()
            (server.root / "data.yaml").write_text(text[:text.index("  train:\n")])
            self.assertEqual(server.cli("workflow", "run", server.root / "data.yaml").returncode, 0)
            undisturbed = server.wait(self.submit(server))
            self.assertEqual(undisturbed["state"], "SUCCEEDED", undisturbed["reason"])

            job = self.submit(server)
            wait_until(lambda: len(self.steps_of(server, job)) >= 3, what="three checkpoints")
            rank, = ranks_of_job(server, job, "trainyard-train")
            os.kill(rank, signal.SIGSTOP)
            newest, before = self.steps_of(server, job)[:2]
            flip(server.data / f"checkpoints/{job}/1/{newest}/rank-0.safetensors", 5000)
            os.kill(rank, signal.SIGKILL)
            ended = server.wait(job)
            self.assertEqual((ended["state"], ended["attempt"]), ("SUCCEEDED", 2), ended["reason"])
            self.assertEqual(ended["result"]["resumed_from_step"], before)
            self.assertEqual(ended["result"]["parameter_hash"], undisturbed["result"]["parameter_hash"])
            log = server.logs(job, attempt=2)
            self.assertIn("checkpoint.skipped", log)
            self.assertIn(f"/1/{newest}/rank-0.safetensors", log)


class DamagedDatabaseTest(FaultTest):
    """A server that finds its databases damaged says so and ends; it neither aborts nor serves what is left."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        for _ in range(5):
            cls.server.wait(cls.server.submit("true"))
        cls.server.kill()

    def start_with(self, damaged, damage):
        """Starts a server on a copy of the data that `damage` was applied to; it must leave the file called `damaged` as it is."""
        data = self.server.root / "copy"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self.server.data, data, ignore=shutil.ignore_patterns("run"))
        damage(data)
        before = (data / damaged).read_bytes() if (data / damaged).exists() else None
        done = subprocess.run([BIN / "trainyard", "up", "--data", data, "--port", "0", "--no-agent"], capture_output=True, text=True,
                              timeout=20)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertNotIn("Trainyard serves", done.stdout)
        after = (data / damaged).read_bytes() if (data / damaged).exists() else None
        self.assertTrue(after == before, f"{damaged} was changed")
        return done.stderr

    @staticmethod
    def checkpointed(data, name):
        """The database as one file, without a write-ahead log."""
        connection = sqlite3.connect(data / name)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return data / name

    @staticmethod
    def flip_middle(path, count):
        flip(path, path.stat().st_size // 2, count)

    def test_damaged_database_files_are_refused(self):
        for name, error_id in (("ledger.db", "ledger.corrupt"), ("trainyard.db", "db.corrupt")):
            for what, damage in (("header", lambda path: flip(path, 0, 16)), ("first page", lambda path: flip(path, 100, 300)),
                                 ("half", lambda path: os.truncate(path, path.stat().st_size // 2)),
                                 ("text", lambda path: path.write_text("x" * 9000))):
                with self.subTest(database=name, damage=what):
                    message = self.start_with(name, lambda data: damage(self.checkpointed(data, name)))
                    self.assertIn(error_id, message)
                    self.assertIn("restore it from a backup", message)

    def test_damaged_page_of_the_ledger_is_refused(self):
        message = self.start_with("ledger.db", lambda data: self.flip_middle(self.checkpointed(data, "ledger.db"), 2000))
        self.assertIn("ledger.corrupt", message)

    def test_damaged_write_ahead_log_is_refused_since_acknowledged_commits_would_be_lost(self):
        for name, error_id in (("ledger.db", "ledger.corrupt"), ("trainyard.db", "db.corrupt")):
            message = self.start_with(f"{name}-wal", lambda data: self.flip_middle(data / f"{name}-wal", 100))
            self.assertIn(error_id, message)
            self.assertIn("acknowledged commits would be lost", message)
            self.assertIn(f"{name}-wal", message)

    def test_missing_ledger_beside_other_state_is_refused(self):
        def remove(data):
            for path in data.glob("ledger.db*"):
                path.unlink()
        message = self.start_with("ledger.db", remove)
        self.assertIn("ledger.missing", message)
        self.assertIn("--data", message)


# The base of the cases holds none itself.
del FaultTest

if __name__ == "__main__":
    unittest.main(verbosity=2)
