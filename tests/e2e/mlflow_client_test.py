"""An unmodified MLflow client against a real server.

TRAINYARD_MLFLOW names a folder with the client, as `tools/bootstrap tests` makes it: .deps/mlflow3 or .deps/mlflow2.
"""
import hashlib
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import uuid

from harness import Server, wait_until

CLIENT = pathlib.Path(os.environ.get("TRAINYARD_MLFLOW", ".deps/mlflow3")).resolve()
NOT_RUN = 77
# Nothing here may talk to anyone but the server, and an error must not be hidden by minutes of retries.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
         "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}

mlflow = None
server = None


def why_not_run():
    if not (CLIENT / "mlflow").is_dir():
        return f"there is no MLflow client at {CLIENT}; tools/bootstrap tests puts one there"
    if sys.version_info[:2] != (3, 11):
        return f"the pinned client is built for Python 3.11, and this is {sys.version.split()[0]}"
    return None


def setUpModule():
    global mlflow, server
    server = Server()
    os.environ.update(QUIET, MLFLOW_TRACKING_URI=server.url, MLFLOW_TRACKING_TOKEN=server.token)
    sys.path.insert(0, str(CLIENT))
    import mlflow as imported
    mlflow = imported
    assert pathlib.Path(mlflow.__file__).is_relative_to(CLIENT), mlflow.__file__
    print(f"mlflow-skinny {mlflow.__version__}", file=sys.stderr)


def tearDownModule():
    server.close()


class MlflowTest(unittest.TestCase):
    def setUp(self):
        self.client = mlflow.MlflowClient()
        self.experiment_name = f"{self.id().rsplit('.', 1)[1]}-{uuid.uuid4().hex[:8]}"
        self.experiment = self.client.create_experiment(self.experiment_name)
        mlflow.set_experiment(experiment_id=self.experiment)
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def new_run(self, name="run", **tags):
        return self.client.create_run(self.experiment, run_name=name, tags=tags).info.run_id

    def refused(self, code, text, call, *arguments, **named):
        with self.assertRaises(mlflow.exceptions.MlflowException) as caught:
            call(*arguments, **named)
        self.assertIn(text, str(caught.exception))
        self.assertEqual(caught.exception.error_code, code, caught.exception)

    def names(self, found):
        return [run.info.run_name for run in found]


class ExperimentTest(MlflowTest):
    def test_experiment_is_found_by_name_id_and_fluent_call(self):
        by_name = self.client.get_experiment_by_name(self.experiment_name)
        self.assertEqual(by_name.experiment_id, self.experiment)
        self.assertEqual(by_name.artifact_location, f"mlflow-artifacts:/{self.experiment}")
        self.assertEqual(self.client.get_experiment(self.experiment).name, self.experiment_name)
        self.assertEqual(mlflow.set_experiment(self.experiment_name).experiment_id, self.experiment)
        fresh = mlflow.set_experiment(self.experiment_name + "-fresh")
        self.assertNotEqual(fresh.experiment_id, self.experiment)
        self.assertEqual(self.client.get_experiment("0").name, "Default")
        self.assertIsNone(self.client.get_experiment_by_name("no such experiment"))

    def test_experiments_are_searched_ordered_and_paged(self):
        mark = uuid.uuid4().hex
        for name in ("b", "a", "c"):
            self.client.create_experiment(f"{mark}-{name}", tags={"mark": mark, "letter": name})
        found = self.client.search_experiments(filter_string=f"tags.mark = '{mark}'", order_by=["name ASC"])
        self.assertEqual([e.tags["letter"] for e in found], ["a", "b", "c"])
        self.assertEqual([e.name for e in self.client.search_experiments(filter_string=f"name LIKE '{mark}-b%'")], [f"{mark}-b"])
        letters, token = [], None
        for _ in range(2):
            page = self.client.search_experiments(filter_string=f"name LIKE '{mark}%'", order_by=["name DESC"], max_results=2,
                                                  page_token=token)
            letters += [e.tags["letter"] for e in page]
            token = page.token
        self.assertEqual(letters, ["c", "b", "a"])
        self.assertFalse(token)

    def test_experiment_is_renamed_tagged_deleted_and_restored(self):
        run = self.new_run()
        self.client.rename_experiment(self.experiment, self.experiment_name + "-new")
        self.client.set_experiment_tag(self.experiment, "team", "a")
        stored = self.client.get_experiment(self.experiment)
        self.assertEqual((stored.name, stored.tags["team"]), (self.experiment_name + "-new", "a"))
        self.client.delete_experiment(self.experiment)
        self.assertEqual(self.client.get_experiment(self.experiment).lifecycle_stage, "deleted")
        self.assertEqual(self.client.get_run(run).info.lifecycle_stage, "deleted")
        self.refused("INVALID_PARAMETER_VALUE", "must be in the 'active' state", self.client.create_run, self.experiment)
        self.client.restore_experiment(self.experiment)
        self.assertEqual(self.client.get_run(run).info.lifecycle_stage, "active")

    def test_bad_experiments_are_refused(self):
        self.refused("RESOURCE_ALREADY_EXISTS", f"Experiment(name={self.experiment_name}) already exists.",
                     self.client.create_experiment, self.experiment_name)
        self.refused("RESOURCE_DOES_NOT_EXIST", "No Experiment with id=987654 exists", self.client.get_experiment, "987654")
        self.refused("RESOURCE_DOES_NOT_EXIST", "No Experiment with id=987654 exists", self.client.create_run, "987654")
        self.refused("INVALID_PARAMETER_VALUE", "Cannot delete the default experiment", self.client.delete_experiment, "0")


class RunTest(MlflowTest):
    def test_fluent_run_is_read_back(self):
        with mlflow.start_run(experiment_id=self.experiment, run_name="first", tags={"purpose": "test"}, description="why") as run:
            self.assertEqual(self.client.get_run(run.info.run_id).info.status, "RUNNING")
            mlflow.log_param("lr", 0.1)
            mlflow.log_params({"depth": 3, "name": "a b", "layer/0.units": "ü"})
            mlflow.set_tag("note", "hello")
            mlflow.set_tags({"one": 1, "two": None})
            for step in range(5):
                mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
            mlflow.log_metrics({"train/accuracy": 0.9, "nan": math.nan, "inf": math.inf}, step=4)
        stored = self.client.get_run(run.info.run_id)
        self.assertEqual((stored.info.status, stored.info.run_name), ("FINISHED", "first"))
        self.assertGreaterEqual(stored.info.end_time, stored.info.start_time)
        self.assertEqual(stored.info.artifact_uri, f"mlflow-artifacts:/{self.experiment}/{run.info.run_id}/artifacts")
        self.assertEqual(stored.data.params, {"lr": "0.1", "depth": "3", "name": "a b", "layer/0.units": "ü"})
        self.assertEqual((stored.data.metrics["loss"], stored.data.metrics["train/accuracy"]), (0.2, 0.9))
        self.assertTrue(math.isnan(stored.data.metrics["nan"]))
        self.assertEqual(stored.data.metrics["inf"], sys.float_info.max)
        tags = stored.data.tags
        self.assertEqual((tags["note"], tags["purpose"], tags["one"], tags["two"]), ("hello", "test", "1", "None"))
        self.assertEqual((tags["mlflow.runName"], tags["mlflow.note.content"]), ("first", "why"))
        history = self.client.get_metric_history(run.info.run_id, "loss")
        self.assertEqual([(point.step, point.value) for point in history], [(i, 1.0 / (i + 1)) for i in range(5)])
        self.assertEqual(self.client.get_metric_history(run.info.run_id, "none"), [])

    def test_platform_shows_the_same_run(self):
        with mlflow.start_run(experiment_id=self.experiment, run_name="shown") as run:
            mlflow.log_param("lr", 0.1)
            mlflow.log_metric("loss", 0.25, step=7)
        listed = server.cli("run", "ls")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        line = next(line for line in listed.stdout.splitlines() if run.info.run_id in line)
        self.assertRegex(line, r"shown\s+FINISHED")
        shown = server.cli("run", "get", run.info.run_id)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        for text in ("name: shown", "loss", "0.25", "step: 7", "lr"):
            self.assertIn(text, shown.stdout)
        status, points = server.call("GET", f"/api/v1/runs/{run.info.run_id}/metrics?key=loss")
        self.assertEqual((status, [(p["step"], p["value"]) for p in points["points"]]), (200, [(7, 0.25)]))
        unknown = server.cli("run", "get", "0" * 32)
        self.assertNotEqual(unknown.returncode, 0)
        self.assertIn("0" * 32, unknown.stderr)

    def test_ways_to_end_are_told_apart(self):
        with self.assertRaises(ZeroDivisionError):
            with mlflow.start_run(experiment_id=self.experiment) as failed:
                _ = 1 / 0
        self.assertEqual(self.client.get_run(failed.info.run_id).info.status, "FAILED")
        killed = mlflow.start_run(experiment_id=self.experiment)
        mlflow.end_run("KILLED")
        self.assertEqual(self.client.get_run(killed.info.run_id).info.status, "KILLED")
        scheduled = self.new_run()
        self.client.update_run(scheduled, status="SCHEDULED", name="renamed")
        info = self.client.get_run(scheduled).info
        self.assertEqual((info.status, info.run_name, info.end_time), ("SCHEDULED", "renamed", None))
        self.assertEqual(self.client.get_run(scheduled).data.tags["mlflow.runName"], "renamed")

    def test_run_is_resumed_and_has_children(self):
        with mlflow.start_run(experiment_id=self.experiment) as parent:
            with mlflow.start_run(experiment_id=self.experiment, nested=True) as child:
                mlflow.log_metric("m", 1)
        with mlflow.start_run(run_id=parent.info.run_id) as resumed:
            self.assertEqual(self.client.get_run(parent.info.run_id).info.status, "RUNNING")
            mlflow.log_metric("m", 2)
        self.assertEqual(resumed.info.run_id, parent.info.run_id)
        self.assertEqual(self.client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"], parent.info.run_id)
        children = self.client.search_runs([self.experiment], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
        self.assertEqual([run.info.run_id for run in children], [child.info.run_id])

    def test_batch_is_whole_and_may_be_repeated(self):
        run, entities = self.new_run(), mlflow.entities
        metrics = [entities.Metric("batch", float(i), 1000 + i, i) for i in range(900)]
        for _ in range(2):
            self.client.log_batch(run, metrics, [entities.Param("p", "1")], [entities.RunTag("t", "1")])
        history = self.client.get_metric_history(run, "batch")
        self.assertEqual([point.value for point in history], [float(i) for i in range(900)])
        self.refused("INVALID_PARAMETER_VALUE", "Changing param values is not allowed", self.client.log_batch, run,
                     [entities.Metric("other", 1.0, 1, 1)], [entities.Param("p", "2")], [entities.RunTag("u", "1")])
        stored = self.client.get_run(run).data
        self.assertEqual((stored.params, sorted(stored.metrics), "u" in stored.tags), ({"p": "1"}, ["batch"], False))

    def test_long_history_is_read_whole(self):
        run, entities = self.new_run(), mlflow.entities
        for first in range(0, 3000, 1000):
            self.client.log_batch(run, [entities.Metric("m", float(i), i, i) for i in range(first, first + 1000)])
        self.assertEqual([point.step for point in self.client.get_metric_history(run, "m")], list(range(3000)))

    def test_param_is_written_once(self):
        run = self.new_run()
        self.client.log_param(run, "lr", "0.1")
        self.client.log_param(run, "lr", "0.1")
        self.refused("INVALID_PARAMETER_VALUE", "Changing param values is not allowed. Param with key='lr' was already logged with "
                     f"value='0.1' for run ID='{run}'. Attempted logging new value '0.2'.", self.client.log_param, run, "lr", "0.2")
        self.assertEqual(self.client.get_run(run).data.params, {"lr": "0.1"})

    def test_tags_are_replaced_and_deleted(self):
        run = self.new_run()
        self.client.set_tag(run, "a", "1")
        self.client.set_tag(run, "a", "2")
        self.assertEqual(self.client.get_run(run).data.tags["a"], "2")
        self.client.delete_tag(run, "a")
        self.assertNotIn("a", self.client.get_run(run).data.tags)
        self.refused("RESOURCE_DOES_NOT_EXIST", f"No tag with name: a in run with id {run}", self.client.delete_tag, run, "a")

    def test_deleted_run_takes_no_writes_until_it_is_restored(self):
        run = self.new_run()
        self.client.delete_run(run)
        self.assertEqual(self.client.get_run(run).info.lifecycle_stage, "deleted")
        self.assertEqual(len(self.client.search_runs([self.experiment])), 0)
        self.assertEqual(len(self.client.search_runs([self.experiment], run_view_type=mlflow.entities.ViewType.DELETED_ONLY)), 1)
        self.refused("INVALID_PARAMETER_VALUE", f"The run {run} must be in the 'active' state. Current state is deleted.",
                     self.client.log_metric, run, "m", 1)
        self.client.restore_run(run)
        self.client.log_metric(run, "m", 1)
        self.assertEqual(self.client.get_run(run).data.metrics, {"m": 1})

    def test_bad_values_are_refused(self):
        run = self.new_run()
        unknown = "0" * 32
        self.refused("RESOURCE_DOES_NOT_EXIST", f"Run with id={unknown} not found", self.client.get_run, unknown)
        self.refused("RESOURCE_DOES_NOT_EXIST", f"Run with id={unknown} not found", self.client.log_metric, unknown, "m", 1)
        self.refused("RESOURCE_DOES_NOT_EXIST", f"Run with id={unknown} not found", self.client.get_metric_history, unknown, "m")
        self.refused("INVALID_PARAMETER_VALUE", "Names may only contain alphanumerics", self.client.log_metric, run, "a!", 1)
        self.refused("INVALID_PARAMETER_VALUE", "exceeds the maximum length", self.client.log_param, run, "k" * 300, 1)
        self.refused("INVALID_PARAMETER_VALUE", "would resolve to", self.client.set_tag, run, "a/../b", 1)

    def test_call_that_is_not_served_is_refused_by_name(self):
        dataset = mlflow.entities.DatasetInput(mlflow.entities.Dataset("name", "digest", "type", "source"))
        self.refused("ENDPOINT_NOT_FOUND", "does not serve this call", self.client.log_inputs, self.new_run(), [dataset])


class SearchTest(MlflowTest):
    def setUp(self):
        super().setUp()
        for name, loss, depth in (("a", 0.3, "3"), ("b", 0.1, "2"), ("c", 0.2, "3")):
            run = self.new_run(name, purpose="test" if name != "c" else "other")
            self.client.log_metric(run, "loss", loss)
            self.client.log_param(run, "depth", depth)
            self.client.set_terminated(run, "FAILED" if name == "b" else "FINISHED")
        self.new_run("bare")

    def search(self, text, **named):
        return self.names(self.client.search_runs([self.experiment], text, **named))

    def test_filters_pick_runs(self):
        order = {"order_by": ["attributes.run_name ASC"]}
        self.assertEqual(self.search("metrics.loss < 0.25 and params.depth = '3'", **order), ["c"])
        self.assertEqual(self.search("tags.purpose = 'test'", **order), ["a", "b"])
        self.assertEqual(self.search("tags.purpose != 'test'", **order), ["c"])
        self.assertEqual(self.search("attributes.status = 'FAILED'", **order), ["b"])
        self.assertEqual(self.search("run_name LIKE 'ba%'", **order), ["bare"])
        self.assertEqual(self.search("params.depth ILIKE '3'", **order), ["a", "c"])
        self.assertEqual(self.search("metrics.none > 0", **order), [])
        ids = [run.info.run_id for run in self.client.search_runs([self.experiment], "metrics.loss >= 0.2")]
        listed = ", ".join(f"'{run}'" for run in ids)
        self.assertEqual(sorted(self.search(f"attributes.run_id IN ({listed})")), ["a", "c"])
        self.assertEqual(self.search("attributes.start_time > 0 and attributes.end_time > 0", **order), ["a", "b", "c"])

    def test_orders_put_missing_values_last(self):
        self.assertEqual(self.search("", order_by=["metrics.loss ASC"]), ["b", "c", "a", "bare"])
        self.assertEqual(self.search("", order_by=["metrics.loss DESC"]), ["a", "c", "b", "bare"])
        self.assertEqual(self.search("", order_by=["params.depth DESC", "metrics.loss ASC"]), ["c", "a", "b", "bare"])

    def test_pages_cover_every_run_once(self):
        found, token = [], None
        while token is not None or not found:
            page = self.client.search_runs([self.experiment], order_by=["attributes.run_name"], max_results=3, page_token=token)
            found, token = found + self.names(page), page.token or None
        self.assertEqual(found, ["a", "b", "bare", "c"])

    def test_bad_searches_are_refused(self):
        for experiments in ([self.experiment], [self.client.create_experiment(self.experiment_name + "-empty")]):
            for text in ("a = 'b' OR c = 'd'", "metrics.loss = 'x'", "params.depth > 3", "attributes.unknown = 'x'", "metrics.loss <"):
                with self.subTest(text=text, experiments=experiments):
                    self.refused("INVALID_PARAMETER_VALUE", "", self.client.search_runs, experiments, text)
            self.refused("INVALID_PARAMETER_VALUE", "Invalid page token", self.client.search_runs, experiments, page_token="%%")


class ArtifactTest(MlflowTest):
    def listed(self, run, path=None):
        return [(entry.path, entry.is_dir, entry.file_size) for entry in self.client.list_artifacts(run, path)]

    def test_files_and_directories_come_back_as_they_went(self):
        run = self.new_run()
        tree = {"one.txt": b"one\n", "sub/two.bin": bytes(range(256)), "sub/deeper/three ü 100%.txt": b"3", "sub/empty": b""}
        for name, content in tree.items():
            path = self.folder / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.client.log_artifacts(run, str(self.folder / "tree"), "in/side")
        self.client.log_artifact(run, str(self.folder / "tree/one.txt"))
        self.client.log_dict(run, {"a": 1}, "config.json")
        self.client.log_text(run, "text", "notes/text.txt")
        self.assertEqual(self.listed(run), [("config.json", False, 12), ("in", True, None), ("notes", True, None), ("one.txt", False, 4)])
        self.assertEqual(self.listed(run, "in/side/sub"),
                         [("in/side/sub/deeper", True, None), ("in/side/sub/empty", False, 0), ("in/side/sub/two.bin", False, 256)])
        self.assertEqual(self.listed(run, "absent"), [])
        local = pathlib.Path(self.client.download_artifacts(run, "in/side", str(self.folder)))
        read = {str(path.relative_to(local)): path.read_bytes() for path in local.rglob("*") if path.is_file()}
        self.assertEqual(read, tree)
        self.assertEqual(mlflow.artifacts.load_dict(f"runs:/{run}/config.json"), {"a": 1})
        self.assertEqual(mlflow.artifacts.load_text(f"runs:/{run}/notes/text.txt"), "text")

    def test_file_is_replaced(self):
        run = self.new_run()
        for text in ("first", "second"):
            self.client.log_text(run, text, "same.txt")
        self.assertEqual(mlflow.artifacts.load_text(f"runs:/{run}/same.txt"), "second")
        self.assertEqual(self.listed(run), [("same.txt", False, 6)])

    def test_large_file_comes_back_bit_for_bit(self):
        run = self.new_run()
        path = self.folder / "weights.bin"
        # No repeated part: pieces that were mixed up would show.
        block = b"".join(hashlib.sha256(i.to_bytes(8, "little")).digest() for i in range(1 << 20))
        path.write_bytes(block + b"tail")
        self.client.log_artifact(run, str(path), "model")
        self.assertEqual(self.listed(run, "model"), [("model/weights.bin", False, (32 << 20) + 4)])
        (self.folder / "back").mkdir()
        local = self.client.download_artifacts(run, "model/weights.bin", str(self.folder / "back"))
        with open(local, "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).hexdigest(), hashlib.sha256(block + b"tail").hexdigest())

    def test_file_beyond_the_limit_is_refused_with_the_reason(self):
        run = self.new_run()
        path = self.folder / "huge.bin"
        with open(path, "wb") as file:
            file.truncate((256 << 20) + 1)
        with self.assertRaises(Exception) as caught:
            self.client.log_artifact(run, str(path))
        self.assertIn("413", str(caught.exception))
        self.assertEqual(self.listed(run), [])

    def test_missing_file_is_named(self):
        run = self.new_run()
        with self.assertRaises(Exception) as caught:
            self.client.download_artifacts(run, "absent.txt", str(self.folder))
        self.assertIn("absent.txt", str(caught.exception))


class RegistryTest(MlflowTest):
    def test_model_versions_aliases_and_tags(self):
        name, run = f"model-{uuid.uuid4().hex[:8]}", self.new_run()
        self.client.log_text(run, "weights", "model/weights.txt")
        self.client.create_registered_model(name, tags={"k": "v"}, description="d")
        source = f"{self.client.get_run(run).info.artifact_uri}/model"
        version = self.client.create_model_version(name, source, run_id=run)
        self.assertEqual((str(version.version), version.status), ("1", "READY"))
        self.client.set_registered_model_alias(name, "champion", "1")
        self.assertEqual(str(self.client.get_model_version_by_alias(name, "champion").version), "1")
        aliases = self.client.get_registered_model(name).aliases
        self.assertEqual({alias: str(number) for alias, number in aliases.items()}, {"champion": "1"})
        self.assertEqual([m.name for m in self.client.search_registered_models(f"name = '{name}'")], [name])
        self.assertEqual(len(self.client.search_model_versions(f"name = '{name}'")), 1)
        self.assertEqual(self.client.get_model_version_download_uri(name, "1"), source)
        self.client.set_model_version_tag(name, "1", "checked", "yes")
        self.client.update_model_version(name, "1", "better words")
        self.assertEqual(self.client.get_model_version(name, "1").tags, {"checked": "yes"})
        local = mlflow.artifacts.download_artifacts(f"models:/{name}@champion", dst_path=str(self.folder))
        self.assertEqual((pathlib.Path(local) / "weights.txt").read_text(encoding="utf-8"), "weights")
        self.client.delete_registered_model_alias(name, "champion")
        self.client.delete_model_version(name, "1")
        self.assertEqual(str(self.client.create_model_version(name, source, run_id=run).version), "2")

    def test_bad_versions_are_refused(self):
        name, run = f"model-{uuid.uuid4().hex[:8]}", self.new_run(synthetic="true")
        self.client.create_registered_model(name)
        self.refused("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={name}) already exists.",
                     self.client.create_registered_model, name)
        self.refused("BAD_REQUEST", "A model trained on synthetic data is not registered", self.client.create_model_version, name,
                     f"{self.client.get_run(run).info.artifact_uri}/m", run_id=run)
        self.refused("INVALID_PARAMETER_VALUE", "Invalid model version source", self.client.create_model_version, name, "/etc",
                     run_id=self.new_run())
        self.refused("RESOURCE_DOES_NOT_EXIST", f"Model Version (name={name}, version=7) not found",
                     self.client.get_model_version, name, "7")


class AccessTest(MlflowTest):
    def with_token(self, token):
        saved = os.environ.pop("MLFLOW_TRACKING_TOKEN")
        self.addCleanup(os.environ.update, MLFLOW_TRACKING_TOKEN=saved)
        if token:
            os.environ["MLFLOW_TRACKING_TOKEN"] = token

    def test_wrong_token_is_refused_with_the_reason(self):
        run = self.new_run()
        self.with_token("ty_pat_wrong_" + "0" * 64)
        self.refused("UNAUTHENTICATED", "token", self.client.get_run, run)
        self.refused("UNAUTHENTICATED", "token", self.client.log_metric, run, "m", 1)
        self.refused("UNAUTHENTICATED", "token", self.client.log_text, run, "x", "x.txt")

    def test_missing_token_is_refused_with_the_reason(self):
        run = self.new_run()
        self.with_token(None)
        self.refused("UNAUTHENTICATED", "token", self.client.get_run, run)

    def user(self, role, namespace):
        name = f"{role}-{uuid.uuid4().hex[:8]}"
        server.call("POST", "/api/v1/users", {"name": name, "grants": [{"namespace": namespace, "role": role}]})
        return server.call("POST", "/api/v1/tokens", {"user": name, "name": "test"})[1]["secret"]

    def test_run_is_for_those_of_its_namespace(self):
        runner, viewer, stranger = self.user("runner", "vision"), self.user("viewer", "vision"), self.user("runner", "text")
        self.with_token(runner)
        with mlflow.start_run(experiment_id=self.experiment) as run:
            mlflow.log_metric("m", 1)
            mlflow.log_text("x", "x.txt")
        run = run.info.run_id
        self.assertEqual(self.client.get_run(run).data.tags["trainyard.namespace"], "vision")
        os.environ["MLFLOW_TRACKING_TOKEN"] = viewer
        self.assertEqual(mlflow.artifacts.load_text(f"runs:/{run}/x.txt"), "x")
        self.assertEqual(len(self.client.search_runs([self.experiment])), 1)
        self.refused("PERMISSION_DENIED", "runner", self.client.log_metric, run, "m", 2)
        self.refused("PERMISSION_DENIED", "runner", self.client.delete_run, run)
        os.environ["MLFLOW_TRACKING_TOKEN"] = stranger
        self.assertEqual(len(self.client.search_runs([self.experiment])), 0)
        for call, *arguments in ((self.client.get_run,), (self.client.log_metric, "m", 2), (self.client.delete_run,),
                                 (self.client.get_metric_history, "m")):
            self.refused("RESOURCE_DOES_NOT_EXIST", f"Run with id={run} not found", call, run, *arguments)

    def test_token_may_be_the_password_of_basic_authentication(self):
        run = self.new_run()
        token = os.environ["MLFLOW_TRACKING_TOKEN"]
        self.with_token(None)
        os.environ.update(MLFLOW_TRACKING_USERNAME="anyone", MLFLOW_TRACKING_PASSWORD=token)
        try:
            self.assertEqual(self.client.get_run(run).info.run_id, run)
        finally:
            del os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]


class GuideTest(MlflowTest):
    def test_guide_works_as_printed(self):
        guide = (pathlib.Path(__file__).parents[2] / "docs/how-to/mlflow.md").read_text(encoding="utf-8")
        script = guide.split("```python\n")[1].split("```")[0]
        done = subprocess.run([sys.executable, "-c", script], env=dict(os.environ, PYTHONPATH=str(CLIENT)), capture_output=True,
                              text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("first 0.1 notes", done.stdout)


class RestartTest(MlflowTest):
    def test_what_was_logged_survives_the_death_of_the_server(self):
        run = self.new_run()
        self.client.log_text(run, "kept", "kept.txt")
        for step in range(20):
            self.client.log_metric(run, "loss", 1.0 / (step + 1), step=step)
        server.kill()
        server.restart()
        self.assertEqual(server.url, os.environ["MLFLOW_TRACKING_URI"])
        self.client.log_metric(run, "loss", 0, step=20)
        self.assertEqual([point.step for point in self.client.get_metric_history(run, "loss")], list(range(21)))
        self.assertEqual(mlflow.artifacts.load_text(f"runs:/{run}/kept.txt"), "kept")


SCRIPT = """
import os, sys
if "once" in sys.argv and os.environ["TRAINYARD_ATTEMPT"] == "2":
    sys.argv.remove("once")
import mlflow
given = os.environ["MLFLOW_RUN_ID"]
with mlflow.start_run() as run:
    assert run.info.run_id == given, run.info
    mlflow.log_param("lr", 0.5)
    mlflow.set_tag("from", "script")
    for step in range(3):
        mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
    mlflow.log_text("report", "report/of job.txt")
    with mlflow.start_run(run_name="part", nested=True):
        mlflow.log_metric("inner", 1)
        mlflow.log_text("inner", "inner.txt")
    print("active", mlflow.MlflowClient().get_run(run.info.run_id).info.status)
if "fail" in sys.argv or "once" in sys.argv:
    sys.exit(3)
"""


class JobTest(MlflowTest):
    """A script that knows only MLflow, as a job: the server, the run and the token come from its environment."""

    def submit(self, *words, options=()):
        script = self.folder / "train.py"
        script.write_text(SCRIPT, encoding="utf-8")
        settings = [f"{name}={value}" for name, value in QUIET.items()]
        command = ["env", f"PYTHONPATH={CLIENT}", *settings, sys.executable, str(script), *words]
        return server.cli("job", "submit", "--follow", *options, "--", *command)

    def run_of_last_job(self):
        _, jobs = server.call("GET", "/api/v1/jobs?limit=1")
        found = self.client.search_runs(["0"], f"tags.`trainyard.job_id` = '{jobs['jobs'][0]['id']}'")
        self.assertEqual(len(found), 1)
        return found[0]

    def test_script_logs_into_the_run_of_its_job(self):
        done = self.submit()
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        self.assertIn("active RUNNING", done.stdout)
        run_id = self.run_of_last_job().info.run_id
        wait_until(lambda: self.client.get_run(run_id).info.status == "FINISHED", what="the end of the run")
        stored = self.client.get_run(run_id)
        self.assertEqual((stored.data.params, stored.data.tags["from"]), ({"lr": "0.5"}, "script"))
        self.assertEqual([(p.step, p.value) for p in self.client.get_metric_history(run_id, "loss")], [(0, 1.0), (1, 0.5), (2, 1 / 3)])
        self.assertEqual(mlflow.artifacts.load_text(f"runs:/{run_id}/report/of job.txt"), "report")
        shown = server.cli("run", "get", run_id)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        for text in ("loss", "0.333", "status: FINISHED", "lr"):
            self.assertIn(text, shown.stdout)
        self.assertIn(run_id, server.cli("run", "ls").stdout)

    def test_child_run_of_a_job_lies_beside_its_parent(self):
        done = self.submit(options=("--namespace", "vision"))
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        parent = self.run_of_last_job()
        _, job = server.call("GET", "/api/v1/jobs/" + parent.data.tags["trainyard.job_id"])
        self.assertEqual(parent.info.user_id, job["owner"])
        child = self.client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")[0]
        self.assertEqual((child.info.run_name, child.data.metrics, child.info.status), ("part", {"inner": 1}, "FINISHED"))
        self.assertEqual(mlflow.artifacts.load_text(f"runs:/{child.info.run_id}/inner.txt"), "inner")
        for run in (parent, child):
            self.assertEqual(run.data.tags["trainyard.namespace"], "vision")

    def test_run_of_a_failed_job_is_failed(self):
        done = self.submit("fail")
        self.assertEqual(done.returncode, 3, done.stderr + done.stdout)
        run_id = self.run_of_last_job().info.run_id
        # The script ended its run as FINISHED; how the process ended has the last word.
        wait_until(lambda: self.client.get_run(run_id).info.status == "FAILED", what="the failure of the run")

    def test_second_attempt_replaces_what_the_first_logged(self):
        done = self.submit("once", options=("--retry", "1"))
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        run_id = self.run_of_last_job().info.run_id
        wait_until(lambda: self.client.get_run(run_id).info.status == "FINISHED", what="the end of the run")
        self.assertEqual([p.step for p in self.client.get_metric_history(run_id, "loss")], [0, 1, 2])
        self.assertEqual(self.client.get_run(run_id).data.params, {"lr": "0.5"})

    def test_token_of_a_job_is_good_only_while_it_runs(self):
        done = server.cli("job", "submit", "--follow", "--", "sh", "-c", f'printf %s "$MLFLOW_TRACKING_TOKEN" > {self.folder}/token')
        self.assertEqual(done.returncode, 0, done.stderr)
        token = (self.folder / "token").read_text(encoding="utf-8")
        self.assertTrue(token.startswith("ty_job_"), token)
        status, answer = server.call("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0", token=token)
        self.assertEqual((status, answer["error_code"]), (401, "UNAUTHENTICATED"))


if __name__ == "__main__":
    reason = why_not_run()
    if reason:
        print("NOT RUN: " + reason, file=sys.stderr)
        sys.exit(NOT_RUN)
    unittest.main(warnings="ignore")  # Those of the client about its own packages.
