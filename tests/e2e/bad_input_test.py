"""Bad input at every stage, through the real programs: what, where, why and what next is said, and nothing half-written is left."""

import gzip
import hashlib
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import unittest

from harness import BIN, Server, wait_until
from processes import processes_of
from tiny_data import tiny_pipeline, write_tiny_dataset

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TRAIN_ROWS, TEST_ROWS = 200, 50
LABELS_SOURCE = "{path: \"%s/" + TRAIN_LABELS + "\", format: idx_labels, split: train}"
CSV_HEADER = ",".join(["label", *(f"pixel_{i}" for i in range(784))])


def csv_row(label="3", first_pixel="7"):
    return ",".join([label, first_pixel, *["7"] * 783])


def edit_idx(path, change):
    """Replaces the uncompressed content of a gzip file by what `change` makes of it."""
    path.write_bytes(gzip.compress(bytes(change(bytearray(gzip.decompress(path.read_bytes())))), compresslevel=1, mtime=0))


def set_bytes(content, at, values):
    content[at:at + len(values)] = values
    return content


def place_of(text, words):
    """The line and column, counted from 1, where `words` stands in `text`."""
    before = text[:text.index(words)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def as_nobody():
    """Arguments of subprocess for a process that may not write where it likes: root may everywhere."""
    return {"user": "nobody"} if os.geteuid() == 0 else {}


class PipelineTest(unittest.TestCase):
    """Runs small pipelines on one server; each has a dataset and a model of its own."""

    counter = itertools.count(1)

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        self.dataset = f"case{next(self.counter)}"
        self.directory = write_tiny_dataset(self.server.root / self.dataset, train_rows=TRAIN_ROWS, test_rows=TEST_ROWS)

    def run_pipeline(self, **changes):
        self.file = tiny_pipeline(self.directory, dataset=self.dataset, **changes)
        return self.server.cli("workflow", "run", self.file)

    def check(self, done, code, *words):
        """The exit code, and that stderr is one message with all these words in it; what belongs to it is indented."""
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual([line[:7] for line in done.stderr.strip().splitlines() if not line.startswith("  ")], ["error: "], done.stderr)
        for word in words:
            self.assertIn(str(word), done.stderr)

    def layers(self):
        status, dataset = self.server.call("GET", f"/api/v1/datasets/{self.dataset}")
        return sorted({version["layer"] for version in dataset["versions"]}) if status == 200 else []

    def check_left(self, layers=(), models=0):
        """The layers of the dataset in the catalog, the versions of the model, and that no file is unfinished or without its record."""
        self.assertEqual(self.layers(), sorted(layers))
        status, model = self.server.call("GET", f"/api/v1/models/{self.dataset}")
        self.assertEqual(len(model["versions"]) if status == 200 else 0, models)
        objects = self.server.data / "objects"
        self.assertEqual(list(objects.glob("@tmp/*")), [])
        self.assertEqual(list(self.server.data.glob("work/*/*/etl-scratch")), [])
        stored = [file for file in objects.rglob("*") if file.is_file() and not file.relative_to(objects).parts[0].startswith("@")]
        for file in stored:
            record = json.loads((objects / "@meta" / f"{file.relative_to(objects)}@json").read_text())
            self.assertEqual(record["size"], file.stat().st_size, file)

    def refused_ingest(self, error_id, *words, **changes):
        """The ingest fails with this error, which names what to do, and nothing of the dataset is left."""
        done = self.run_pipeline(**changes)
        self.check(done, 1, "task ingest: job", "FAILED", error_id, "trainyard job logs", *words)
        self.assertIn("task ingest before it did not succeed", done.stdout)
        self.check_left()


class SourceFileTest(PipelineTest):
    def test_missing_file_is_named(self):
        (self.directory / TRAIN_IMAGES).unlink()
        self.refused_ingest("data.missing_file", "check the path", self.directory / TRAIN_IMAGES, "exit code 65")

    def test_directory_is_no_source(self):
        (self.directory / TRAIN_IMAGES).unlink()
        (self.directory / TRAIN_IMAGES).mkdir()
        self.refused_ingest("data.not_a_file", "name the file in it", self.directory / TRAIN_IMAGES)

    def test_cut_off_compression_is_named_with_its_byte(self):
        path = self.directory / TRAIN_IMAGES
        path.write_bytes(path.read_bytes()[:5000])
        self.refused_ingest("data.gzip", "ends too early", "fetch it again", path, "compressed byte 5000")

    def test_damaged_compression_is_named(self):
        path = self.directory / TRAIN_IMAGES
        path.write_bytes(bytes(set_bytes(bytearray(path.read_bytes()), 3000, b"\xff" * 40)))
        self.refused_ingest("data.gzip", "is damaged", "fetch it again", path)

    def test_truncated_idx_says_how_much_is_there(self):
        edit_idx(self.directory / TRAIN_IMAGES, lambda content: content[:-1000])
        self.refused_ingest("data.idx", "announces 200 items and only 198 are whole", "fetch it again", self.directory / TRAIN_IMAGES)

    def test_bad_magic_number_is_shown(self):
        edit_idx(self.directory / TRAIN_IMAGES, lambda content: set_bytes(content, 0, b"\x12\x34"))
        self.refused_ingest("data.idx", "magic number is 12340803 where 00000803 belongs", self.directory / TRAIN_IMAGES)

    def test_images_and_labels_that_differ_in_number_name_both_files(self):
        edit_idx(self.directory / TRAIN_LABELS, lambda content: set_bytes(content[:-100], 4, (100).to_bytes(4, "big")))
        self.refused_ingest("data.idx", "it has 200 images and there are 100 labels", self.directory / TRAIN_IMAGES,
                            self.directory / TRAIN_LABELS)

    def test_wrong_checksum_shows_both(self):
        path = self.directory / TRAIN_IMAGES
        self.refused_ingest("data.checksum", "fetch it again or correct sha256", path, hashlib.sha256(path.read_bytes()).hexdigest(),
                            "ab" * 32,
                            replace={"format: idx_images, split: train": "format: idx_images, split: train, sha256: " + "ab" * 32})

    def test_right_checksum_is_taken(self):
        sha256 = hashlib.sha256((self.directory / TRAIN_IMAGES).read_bytes()).hexdigest()
        done = self.run_pipeline(replace={"format: idx_images, split: train": f"format: idx_images, split: train, sha256: {sha256}"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_left(["raw", "processed", "curated"], models=1)


class MalformedRowTest(PipelineTest):
    """The budget is 1 % of all rows: 2 of 272 are within it (200 and 50 tiny ones, 20 good ones beside them), 3 of 273 are not."""

    def ingest_csv(self, bad_rows, good_rows=20):
        rows = [csv_row(str(i % 10), str(i)) for i in range(good_rows)]
        (self.directory / "extra.csv").write_text("\n".join([CSV_HEADER, *rows, *bad_rows]) + "\n")
        labels = LABELS_SOURCE % self.directory
        extra = "\n          - {path: \"${workflow.directory}/extra.csv\", format: csv, split: train}"
        return self.run_pipeline(replace={labels: labels + extra})

    def raw_version(self):
        return self.server.call("GET", f"/api/v1/datasets/{self.dataset}/versions/1?layer=raw")[1]

    def test_few_malformed_rows_are_dead_letters_with_file_line_and_reason(self):
        done = self.ingest_csv(["3,4,5", csv_row(label="12")])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        run = json.loads(self.server.cli("workflow", "ls", "-o", "json").stdout)["workflows"][0]
        ingest = run["tasks"][0]["output"]
        counts = [ingest["result"][key] for key in ("in", "good", "dead", "train", "test")]
        self.assertEqual(counts, [272, 270, 2, 220, 50])
        version = self.raw_version()
        self.assertEqual([f["rows"] for f in version["files"] if f["role"] == "dead_letters"], [2])
        self.assertEqual([source["dead"] for source in version["properties"]["sources"]], [0, 2, 0])
        log = self.server.logs(ingest["job_id"])
        self.assertIn("2 of 272 rows are malformed", log)
        self.assertIn(f"{self.directory}/extra.csv line 22: column_count: 3 columns instead of 785", log)
        self.assertIn(f"{self.directory}/extra.csv line 23: out_of_range in label: outside 0..9: 12", log)
        curate = run["tasks"][1]["output"]["result"]
        self.assertEqual([curate[key] for key in ("in", "good", "dead", "kept")], [272, 270, 2, 270])

    def test_more_than_the_budget_of_malformed_rows_fails_the_task(self):
        done = self.ingest_csv(["3,4,5", csv_row(label="x"), csv_row(first_pixel="256")])
        self.check(done, 1, "data.dead_letter_budget", "nothing was published", "correct the sources or raise dead_letter_budget",
                   "3 of 273 rows, more than 1 %", f"{self.directory}/extra.csv line 22: column_count",
                   "line 23: not_a_number in label: not an integer: \"x\"", "line 24: out_of_range in pixel_0: outside 0..255: 256")
        self.check_left()

    def test_wrong_header_is_shown(self):
        (self.directory / "extra.csv").write_text("a,b\n1,2\n")
        labels = LABELS_SOURCE % self.directory
        self.refused_ingest("data.csv_header", "this one has \"a\" where label belongs", "correct the first line",
                            self.directory / "extra.csv",
                            replace={labels: labels + f"\n          - {{path: {self.directory}/extra.csv, format: csv, split: train}}"})

    def test_label_beyond_the_classes_is_a_dead_letter_of_the_labels_file(self):
        edit_idx(self.directory / TRAIN_LABELS, lambda content: set_bytes(content, 8 + 17, b"\x0b"))
        done = self.run_pipeline()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([f["rows"] for f in self.raw_version()["files"] if f["role"] == "dead_letters"], [1])

    def test_many_labels_beyond_the_classes_fail_the_task(self):
        edit_idx(self.directory / TRAIN_LABELS, lambda content: set_bytes(content, 8 + 17, b"\x0b" * 3))
        self.refused_ingest("data.dead_letter_budget", "3 of 250 rows", self.directory / TRAIN_LABELS,
                            "the label of image 17 (from 0) is outside 0..9: 11")


class WorkflowFileTest(PipelineTest):
    """Faults of the file are found before anything runs, and are shown with line and column."""

    def refuse(self, wrong, error_id, *words, at=None, **changes):
        """The file is refused; the error stands at the place of `at`, or of `wrong`."""
        done = self.run_pipeline(**changes)
        self.check(done, 2, f"{self.file}:{place_of(self.file.read_text(), at or wrong)}: {error_id}", *words)
        self.assertEqual(len(self.server.call("GET", "/api/v1/workflows")[1]["workflows"]), 0)
        self.check_left()

    def test_unknown_key_of_a_job_is_shown_with_the_nearest_known_one(self):
        self.refuse("resorces", "spec.unknown_key", "\"resorces\"; did you mean \"resources\"?", "checking task train",
                    replace={"resources: {cpu: 500m": "resorces: {cpu: 500m"})

    def test_unknown_key_of_a_configuration_is_found_before_anything_runs(self):
        for right, wrong, task in (("dead_letter_budget", "dead_leter_budget", "ingest"),
                                   ("validation_fraction", "validation_fractoin", "curate"), ("batch_size", "batchsize", "train"),
                                   ("model_version", "model_vesion", "deploy"), ("limit", "limti", "predict")):
            with self.subTest(key=wrong):
                self.refuse(f"{wrong}:", "spec.unknown_key", f"\"{wrong}\"; did you mean \"{right}\"?", f"checking task {task}",
                            replace={f"{right}:": f"{wrong}:"})

    def test_value_out_of_its_range_or_of_a_wrong_type_is_shown(self):
        self.refuse("batch_size: 0", "spec.range", "batch_size", replace={"batch_size: 16": "batch_size: 0"})
        self.refuse("name: mpl", "spec.choice", "did you mean \"mlp\"?", replace={"name: mlp": "name: mpl"})
        self.refuse("cpu: lots", "spec.cpu", "2, 0.5 or \"900m\"", replace={"cpu: 500m": "cpu: lots"})
        self.refuse("sha256:", "ingest.sources", "64 hex digits",
                    replace={"format: idx_images, split: train": "format: idx_images, split: train, sha256: \"00\""})

    def test_unknown_kinds_are_shown_with_the_nearest_known_one(self):
        self.refuse("kind: currate", "spec.kind", "did you mean \"curate\"?", replace={"kind: curate": "kind: currate"})
        self.refuse("gaet:", "workflow.kind", "did you mean \"gate\"?", replace={"    gate: {metric": "    gaet: {metric"})

    def test_unknown_tasks_are_shown_with_the_nearest_known_one(self):
        self.refuse("after: ingset", "workflow.unknown_task", "\"ingset\"; did you mean \"ingest\"?",
                    replace={"after: ingest": "after: ingset"})
        self.refuse("value: \"${tasks.trian", "workflow.unknown_task", "\"trian\"; did you mean \"train\"?",
                    replace={"tasks.train.result.test_accuracy": "tasks.trian.result.test_accuracy"})

    def test_cycle_is_written_out(self):
        self.refuse("", "workflow.cycle", "take out one", "ingest -> curate -> ingest", at="tasks:",
                    replace={"  ingest:\n    job": "  ingest:\n    after: curate\n    job"})

    def test_text_that_is_no_yaml_is_shown_with_its_place(self):
        file = tiny_pipeline(self.directory, dataset=self.dataset)
        file.write_text(file.read_text().replace("config: {model:", "config: {{model:"))
        done = self.server.cli("workflow", "run", file)
        self.check(done, 2, "yaml.malformed", "close the bracket or the quote that is open here or above")
        self.assertRegex(done.stderr, re.escape(str(file)) + r":\d+:\d+: ")

    def test_missing_key_is_named_with_its_place(self):
        self.refuse("gate: {metric", "spec.missing_key", "\"at_least\" is required", "add it", "checking task gate",
                    replace={", at_least: 0.5": ""})
        sources = re.compile(r"        sources:\n( +- .*\n)+")
        file = tiny_pipeline(self.directory, dataset=self.dataset)
        file.write_text(sources.sub("", file.read_text()))
        self.check(self.server.cli("workflow", "run", file), 2, "spec.missing_key", "\"sources\" is required", f"{file}:")

    def test_key_that_stands_twice_is_shown(self):
        self.refuse("workflow: other", "document.duplicate_key", "\"workflow\"",
                    replace={"workflow: tiny\n": "workflow: tiny\nworkflow: other\n"})

    def test_missing_or_unreadable_file_is_named(self):
        self.check(self.server.cli("workflow", "run", self.directory / "none.yaml"), 3, self.directory / "none.yaml", "name a YAML file")

    def test_request_over_http_is_refused_with_the_same_place(self):
        for body, code, where in ((b"workflow: x\ntasks:\n  a:\n    job: {command: [ls], nmae: x}\n", "spec.unknown_key", "w.yaml:4:26"),
                                  (b"", "spec.type", "w.yaml"), (b"workflow: x\n", "workflow.empty", "w.yaml:1:1")):
            status, problem = self.server.call("POST", "/api/v1/workflows:run?file=w.yaml", body)
            self.assertEqual((status, problem["code"], problem["errors"][0]["pointer"]), (400, code, where))


class LaterStageTest(PipelineTest):
    """What only shows when the tasks before have run; what those made stays."""

    def test_reference_to_a_figure_that_is_not_there_lists_what_is(self):
        done = self.run_pipeline(replace={"tasks.train.result.test_accuracy": "tasks.train.result.test_acuracy"})
        place = place_of(self.file.read_text(), "value: \"${tasks.train")
        self.check(done, 1, "task gate", f"{self.file}:{place}: workflow.reference", "there is no \"test_acuracy\"; there is:",
                   "test_accuracy")
        self.check_left(["raw", "processed", "curated"])

    def test_accuracy_below_the_gate_fails_the_pipeline_and_registers_nothing(self):
        done = self.run_pipeline(at_least=1.01)
        self.check(done, 1, "task gate", "is below the bar of 1.0100", "train longer, tune more points, or lower at_least")
        self.assertRegex(done.stderr, r"test_accuracy [01]\.\d{4} is below")
        self.assertRegex(done.stdout, r"register +UPSTREAM_FAILED .*task gate before it did not succeed")
        self.check_left(["raw", "processed", "curated"])

    def test_dataset_that_is_not_there_names_the_ways_to_get_it(self):
        done = self.run_pipeline(replace={f"data: {self.dataset}@latest/raw": "data: nothing@latest/raw"})
        self.check(done, 1, "task curate", f"{self.file}:{place_of(self.file.read_text(), 'data: nothing')}", "catalog.unknown_dataset",
                   "trainyard dataset ls", "trainyard workflow run FILE")
        self.check_left(["raw"])

    def test_configuration_that_does_not_suit_the_data_is_shown_with_its_place(self):
        done = self.run_pipeline(replace={"batch_size: 16": "batch_size: 100000"})
        place = place_of(self.file.read_text(), "batch_size: 100000")
        self.check(done, 1, "task train", f"{self.file}:{place}: train.batch_size", "lower batch_size", "exit code 64")
        self.check_left(["raw", "processed", "curated"])

    def test_missing_model_fails_the_deployment(self):
        done = self.run_pipeline(model_uri="ty://models/none.onnx")
        self.check(done, 1, "task deploy", "serve.model_missing", "train or register it first", "ty://models/none.onnx")
        self.check_left(["raw", "processed", "curated"], models=1)

    def test_dead_model_server_fails_the_prediction(self):
        done = self.run_pipeline(replace={"${tasks.deploy.ready_url}": "http://127.0.0.1:1",
                                          "  predict:\n": "  predict:\n    after: deploy\n"})
        self.check(done, 1, "task predict", "net.connect", "127.0.0.1:1")

    def test_version_that_is_made_twice_by_one_request_is_made_once_and_an_alias_moves(self):
        for expected in (1, 2):
            self.assertEqual(self.run_pipeline().returncode, 0)
            model = self.server.call("GET", f"/api/v1/models/{self.dataset}")[1]
            self.assertEqual(len(model["versions"]), expected)
            self.assertEqual(model["aliases"], {"champion": expected})
        status, problem = self.server.call("PUT", f"/api/v1/models/{self.dataset}/aliases/champion", {"version": 9})
        self.assertEqual(status, 404, problem)
        self.assertIn("9", problem["detail"])
        self.assertEqual(self.server.call("GET", f"/api/v1/models/{self.dataset}")[1]["aliases"], {"champion": 2})


class ResourcesTest(unittest.TestCase):
    def test_job_that_no_node_can_hold_is_refused_before_anything_runs(self):
        with Server("--cpus", "2") as server:
            wait_until(lambda: server.call("GET", "/api/v1/nodes")[1]["nodes"])
            file = tiny_pipeline(write_tiny_dataset(server.root / "in", 50, 20), replace={"cpu: 500m": "cpu: 64"})
            done = server.cli("workflow", "run", file)
            self.assertEqual(done.returncode, 5)
            for words in (f"{file}:{place_of(file.read_text(), 'resources: {cpu: 64')}", "spec.impossible_resources", "ask for less",
                          "1 x (64 cpu", "nodes: 1 with (2 cpu", "checking task train"):
                self.assertIn(words, done.stderr)
            self.assertEqual(server.call("GET", "/api/v1/jobs")[1]["jobs"], [])

    def test_waiting_job_says_what_it_waits_for(self):
        with Server("--cpus", "2") as server:
            wait_until(lambda: server.call("GET", "/api/v1/nodes")[1]["nodes"])
            server.submit("sleep", "600", resources={"cpu": 2}, limits={"grace": "1s"})
            waiting = server.submit("true", resources={"cpu": 1})
            behind = server.submit("true", resources={"cpu": 1})
            done = server.cli("job", "explain", waiting)
            self.assertIn("WaitingForResources: Too little is free. It needs 1 x (1 cpu, 512 MiB); 0 of 1 tasks fit now.", done.stdout)
            self.assertIn(f"Job {waiting} comes before it.", server.cli("job", "explain", behind).stdout)

    def test_job_that_came_before_a_node_that_cannot_hold_it_says_so(self):
        with Server("server") as server:
            job = server.submit("true", resources={"cpu": 64})
            explain = lambda: server.cli("job", "explain", job).stdout
            self.assertIn("NoWorkerForQueue: No node is ready. Start an agent with `trainyard agent`.", explain())
            agent = subprocess.Popen([BIN / "trainyard-agent", "--join", server.url, "--token-file", server.ready["token_file"], "--data",
                                      server.root / "node", "--node", "other"], stdout=subprocess.DEVNULL, stderr=server.log)
            try:
                wait_until(lambda: "Unsatisfiable" in explain(), what="the reason")
                for words in ("It needs 1 x (64 cpu, 512 MiB); all nodes together hold 0 such tasks", "ask for less per task or fewer"):
                    self.assertIn(words, explain())
            finally:
                agent.terminate()
                agent.wait()
                for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                    try:
                        words = path.read_bytes()
                    except OSError:
                        continue
                    if b"trainyard-warden" in words and bytes(server.root / "node") in words:
                        os.kill(int(path.parent.name), signal.SIGKILL)


class StartTest(unittest.TestCase):
    """`trainyard up` where it cannot start."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="trainyard-e2e-")
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        self.root.chmod(0o755)

    def up(self, *options, **arguments):
        return subprocess.run([BIN / "trainyard", "up", *options], capture_output=True, text=True, timeout=20, **arguments)

    def check(self, done, *words):
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for word in words:
            self.assertIn(str(word), done.stderr)

    def test_taken_port_is_named_and_nothing_is_started(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = self.up("--data", self.root / "data", "--port", str(port))
            self.check(done, "net.port_taken", f"127.0.0.1:{port}", "choose another port with --port or --listen, or --port 0 for any")
            self.assertFalse((self.root / "data/server.json").exists())
        self.assertEqual(processes_of(self.root), [])

    def test_locked_directory_names_its_holder(self):
        with Server() as server:
            done = self.up("--data", server.data, "--port", "0")
            self.check(done, "data.locked", "stop it with `trainyard down`", server.data, f"pid: {server.process.pid}")
            self.assertEqual(server.call("GET", "/healthz")[0], 200)

    def test_directory_that_cannot_be_written_is_named(self):
        locked = self.root / "locked"
        locked.mkdir(mode=0o555)
        if subprocess.run([BIN / "trainyard", "version"], capture_output=True, **as_nobody()).returncode != 0:
            self.skipTest("NOT RUN: the user nobody may not run the programs")
        for path in (locked, locked / "data"):
            self.check(self.up("--data", path, "--port", "0", **as_nobody()), "data.unusable", "name another with --data", path)
        self.assertEqual(list(locked.iterdir()), [])

    def test_directory_that_is_a_file_is_named(self):
        (self.root / "file").write_text("x")
        self.check(self.up("--data", self.root / "file", "--port", "0"), "data.unusable", self.root / "file", "Not a directory")
        self.assertEqual((self.root / "file").read_text(), "x")

    def test_port_out_of_range_is_a_usage_error(self):
        done = self.up("--data", self.root / "data", "--port", "99999")
        self.assertEqual((done.returncode, "99999" in done.stderr), (2, True), done.stderr)
        self.assertFalse((self.root / "data").exists())


class AccessTest(unittest.TestCase):
    """A client without a server or without the right token."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        cls.home = cls.server.root / "home"
        cls.home.mkdir()

    def cli(self, *words, **environment):
        variables = {key: value for key, value in os.environ.items() if not key.startswith("TRAINYARD_")}
        variables.update(HOME=str(self.home), XDG_DATA_HOME=str(self.home), **environment)
        return subprocess.run([BIN / "trainyard", *words], capture_output=True, text=True, timeout=60, env=variables)

    def check(self, done, code, *words):
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        for word in words:
            self.assertIn(str(word), done.stderr)

    def test_wrong_token_is_refused_with_a_next_step(self):
        wrong = self.home / "wrong"
        wrong.write_text("ty_pat_wrong\n")
        file = tiny_pipeline(write_tiny_dataset(self.server.root / "in", 50, 20))
        for command in (("job", "ls"), ("workflow", "run", file), ("job", "submit", "--", "true")):
            self.check(self.cli("--url", self.server.url, "--token-file", wrong, *command), 4, "auth.invalid", "token file", "trainyard up")
        self.assertEqual(self.server.call("GET", "/api/v1/jobs")[1]["jobs"], [])
        self.assertEqual(self.server.call("GET", "/api/v1/workflows")[1]["workflows"], [])

    def test_wrong_token_over_http_is_a_401_with_a_next_step(self):
        for token in ("ty_pat_wrong", self.server.token + "x", self.server.token[:-1]):
            for method, path in (("GET", "/api/v1/jobs"), ("POST", "/api/v1/workflows:run"), ("DELETE", "/api/v1/jobs/1"),
                                 ("GET", "/metrics")):
                status, problem = self.server.call(method, path, b"{}" if method == "POST" else None, token=token)
                self.assertEqual((status, problem["code"]), (401, "auth.invalid"), path)
                self.assertIn("token file", problem["detail"])

    def test_token_file_that_cannot_be_read_is_named(self):
        for path in (self.home / "none", self.home):
            self.check(self.cli("--url", self.server.url, "--token-file", path, "job", "ls"), 4, "auth.token_file", path, "--token-file")

    def test_absent_server_is_named_with_the_command_that_starts_one(self):
        token = self.server.ready["token_file"]
        self.check(self.cli("--url", "http://127.0.0.1:1", "--token-file", token, "job", "ls"), 6, "net.connect", "127.0.0.1:1",
                   "server runs")
        self.check(self.cli("job", "ls"), 6, "client.no_server", "trainyard up", "--url", self.home)


# The base of the cases holds none itself.
del PipelineTest

if __name__ == "__main__":
    unittest.main(verbosity=2)
