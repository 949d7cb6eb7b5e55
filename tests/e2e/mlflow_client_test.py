#!/usr/bin/env python3
"""Unmodified MLflow clients against a Trainyard server.

Usage: mlflow_client_test.py [VERSION ...]

Asks the server at TRAINYARD_URL with the token in TRAINYARD_TOKEN or the file TRAINYARD_TOKEN_FILE; without TRAINYARD_URL it starts one.
Installs each client (default: the newest 3.x and 2.x that were tried) into a virtual environment of its own below TRAINYARD_VENVS
(default: the user's cache) and runs the checks in it. Exit 0 when all pass, 77 when no client can be installed and nothing ran.
"""
import json
import math
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import uuid

CLIENTS = ["3.17.2", "2.22.5"]
SKIPPED = 77


def server_settings():
    url = os.environ["TRAINYARD_URL"]
    token = os.environ.get("TRAINYARD_TOKEN")
    if token is None:
        with open(os.environ["TRAINYARD_TOKEN_FILE"], encoding="utf-8") as file:
            token = file.read().strip()
    return url, token


def check_tracking(mlflow, client, unique):
    experiment = client.create_experiment(f"e2e-{unique}", tags={"team": "a"})
    assert client.get_experiment_by_name(f"e2e-{unique}").experiment_id == experiment
    with mlflow.start_run(experiment_id=experiment, run_name="first", tags={"purpose": "test"}) as run:
        mlflow.log_param("lr", 0.1)
        mlflow.log_params({"depth": 3, "name": "a b"})
        mlflow.set_tag("note", "hello")
        for step in range(5):
            mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
        mlflow.log_metrics({"train/accuracy": 0.9, "nan": float("nan")}, step=4)
    run_id = run.info.run_id
    stored = client.get_run(run_id)
    assert stored.info.status == "FINISHED" and stored.info.run_name == "first", stored.info
    assert stored.data.params == {"lr": "0.1", "depth": "3", "name": "a b"}, stored.data.params
    assert stored.data.metrics["loss"] == 0.2 and stored.data.metrics["train/accuracy"] == 0.9
    assert math.isnan(stored.data.metrics["nan"])
    assert stored.data.tags["note"] == "hello" and stored.data.tags["mlflow.runName"] == "first"
    history = client.get_metric_history(run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(i, 1.0 / (i + 1)) for i in range(5)], history
    return experiment, run_id


def check_batch(client, mlflow, run_id):
    entities = mlflow.entities
    metrics = [entities.Metric("batch", float(i), 1000 + i, i) for i in range(900)]
    client.log_batch(run_id, metrics=metrics, params=[entities.Param("p", "1")], tags=[entities.RunTag("t", "1")])
    client.log_batch(run_id, metrics=metrics)  # A retry changes nothing.
    assert len(client.get_metric_history(run_id, "batch")) == 900
    try:
        client.log_param(run_id, "lr", "other")
    except mlflow.exceptions.MlflowException as error:
        assert "Changing param values is not allowed" in str(error), error
    else:
        raise AssertionError("a param was written twice")


def check_artifacts(client, mlflow, run_id):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "notes 1.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("one\n")
        client.log_artifact(run_id, path)
        client.log_artifact(run_id, path, "deep/er")
        client.log_dict(run_id, {"a": 1}, "config.json")
        client.log_text(run_id, "", "empty.txt")
        names = sorted(entry.path for entry in client.list_artifacts(run_id))
        assert names == ["config.json", "deep", "empty.txt", "notes 1.txt"], names
        assert [entry.path for entry in client.list_artifacts(run_id, "deep/er")] == ["deep/er/notes 1.txt"]
        local = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="deep", dst_path=directory)
        with open(os.path.join(local, "er", "notes 1.txt"), encoding="utf-8") as file:
            assert file.read() == "one\n"
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/config.json") == {"a": 1}
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/empty.txt") == ""


def check_search(client, mlflow, experiment, run_id):
    other = client.create_run(experiment, tags={"mlflow.runName": "second"})
    client.set_terminated(other.info.run_id, "FAILED")
    found = client.search_runs([experiment], "metrics.loss < 0.5 and params.depth = '3' and tags.purpose = 'test'")
    assert [run.info.run_id for run in found] == [run_id], found
    ordered = client.search_runs([experiment], order_by=["attributes.run_name DESC"])
    assert [run.info.run_name for run in ordered] == ["second", "first"], ordered
    page = client.search_runs([experiment], max_results=1)
    assert len(page) == 1 and page.token
    assert len(client.search_runs([experiment], max_results=1, page_token=page.token)) == 1
    assert [e.experiment_id for e in client.search_experiments(filter_string="tags.team = 'a'") if e.experiment_id == experiment]
    client.delete_run(other.info.run_id)
    assert len(client.search_runs([experiment])) == 1
    client.restore_run(other.info.run_id)
    assert len(client.search_runs([experiment])) == 2


def check_registry(client, mlflow, run_id, unique):
    name = f"model-{unique}"
    client.create_registered_model(name, description="d", tags={"k": "v"})
    source = f"{client.get_run(run_id).info.artifact_uri}/deep"
    version = client.create_model_version(name, source, run_id=run_id)
    assert version.version in ("1", 1) and version.status == "READY", version
    client.set_registered_model_alias(name, "champion", "1")
    assert str(client.get_model_version_by_alias(name, "champion").version) == "1"
    model = client.get_registered_model(name)
    assert {alias: str(number) for alias, number in model.aliases.items()} == {"champion": "1"}, model.aliases
    assert [m.name for m in client.search_registered_models(f"name = '{name}'")] == [name]
    assert len(client.search_model_versions(f"name = '{name}'")) == 1
    assert client.get_model_version_download_uri(name, "1") == source
    client.set_model_version_tag(name, "1", "checked", "yes")
    client.update_model_version(name, "1", "better words")
    assert client.get_model_version(name, "1").tags == {"checked": "yes"}
    client.delete_registered_model_alias(name, "champion")
    client.delete_model_version(name, "1")
    assert str(client.create_model_version(name, source, run_id=run_id).version) == "2"
    synthetic = client.create_run("0", tags={"synthetic": "true"})
    try:
        client.create_model_version(name, f"{synthetic.info.artifact_uri}/m", run_id=synthetic.info.run_id)
    except mlflow.exceptions.MlflowException as error:
        assert "synthetic" in str(error), error
    else:
        raise AssertionError("a model of synthetic data was registered")


def check_errors(client, mlflow):
    for call, code in [
        (lambda: client.get_run("0" * 32), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.create_experiment("Default"), "RESOURCE_ALREADY_EXISTS"),
        (lambda: client.search_runs(["0"], "a = 'b' OR c = 'd'"), "INVALID_PARAMETER_VALUE"),
    ]:
        try:
            call()
        except mlflow.exceptions.MlflowException as error:
            assert error.error_code == code, error
        else:
            raise AssertionError(f"expected {code}")


def check_authentication(url):
    request = urllib.request.Request(url + "/api/2.0/mlflow/experiments/get?experiment_id=0")
    try:
        urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        assert error.code == 401 and json.loads(error.read())["error_code"] == "UNAUTHENTICATED", error.code
    else:
        raise AssertionError("a call without a token was answered")


def run_checks():
    url, token = server_settings()
    os.environ.update(MLFLOW_TRACKING_URI=url, MLFLOW_TRACKING_TOKEN=token, MLFLOW_DISABLE_TELEMETRY="true", GIT_PYTHON_REFRESH="quiet",
                      MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    import mlflow

    mlflow.set_tracking_uri(url)
    client = mlflow.MlflowClient()
    unique = uuid.uuid4().hex[:8]
    experiment, run_id = check_tracking(mlflow, client, unique)
    check_batch(client, mlflow, run_id)
    check_artifacts(client, mlflow, run_id)
    check_search(client, mlflow, experiment, run_id)
    check_registry(client, mlflow, run_id, unique)
    check_errors(client, mlflow)
    check_authentication(url)
    print(f"mlflow-skinny {mlflow.__version__}: all checks passed")


def interpreter_with(version):
    """The interpreter of a virtual environment that holds this client; None when it cannot be installed."""
    root = os.environ.get("TRAINYARD_VENVS") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "trainyard", "venvs")
    directory = os.path.join(root, f"mlflow-skinny-{version}")
    python = os.path.join(directory, "bin", "python")
    if os.path.exists(os.path.join(directory, "complete")):
        return python
    os.makedirs(root, exist_ok=True)
    install = [[sys.executable, "-m", "venv", "--clear", directory],
               [python, "-m", "pip", "install", "--quiet", f"mlflow-skinny=={version}"]]
    for command in install:
        if subprocess.run(command, check=False).returncode != 0:
            return None
    with open(os.path.join(directory, "complete"), "w", encoding="utf-8"):
        pass
    return python


def main():
    if sys.argv[1:2] == ["--checks"]:
        run_checks()
        return 0
    if "TRAINYARD_URL" in os.environ:
        return run_clients()
    from harness import Server

    with Server() as server:
        os.environ.update(TRAINYARD_URL=server.url, TRAINYARD_TOKEN=server.token)
        return run_clients()


def run_clients():
    ran = 0
    for version in sys.argv[1:] or CLIENTS:
        python = interpreter_with(version)
        if python is None:
            print(f"NOT RUN: mlflow-skinny {version} cannot be installed here", file=sys.stderr)
            continue
        if subprocess.run([python, os.path.abspath(__file__), "--checks"], check=False).returncode != 0:
            print(f"mlflow-skinny {version}: FAILED", file=sys.stderr)
            return 1
        ran += 1
    return 0 if ran else SKIPPED


if __name__ == "__main__":
    sys.exit(main())
