"""The published way to run jobs: make targets, the request body and the curl command as they are printed."""

import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import kubernetes_schema

ROOT = pathlib.Path(__file__).resolve().parents[2]
CURL = ("curl -X POST http://localhost:8000/api/v1/jobs -H \"Content-Type: application/json\" "
        "-d '{\"training_config\":{\"epochs\":2,\"batch_size\":32}}'")
PUBLISHED = {"model_config": {"architecture": "resnet18", "num_classes": 10},
             "training_config": {"epochs": 10, "batch_size": 32, "learning_rate": 0.001, "world_size": 2}, "dataset": "cifar10"}
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT")


def curl(*words):
    done = subprocess.run(["curl", "-sS", "--max-time", "60", *words], capture_output=True, text=True, check=True)
    return done.stdout


def wait_until(condition, timeout, what):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        time.sleep(0.05)
    return value


def answers(path):
    return subprocess.run(["curl", "-sf", "http://localhost:8000" + path], capture_output=True, check=False).returncode == 0


class PublishedJobsApiTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 8000)) == 0:
                raise AssertionError("port 8000 is taken, and the published commands name it: stop what listens there")
        cls.infra = tempfile.mkdtemp(prefix="trainyard-usage-")
        cls.addClassCleanup(shutil.rmtree, cls.infra, ignore_errors=True)
        os.chmod(cls.infra, 0o755)
        cls.environment = dict(os.environ, TRAINYARD_INFRA=cls.infra)
        cls.make("infra")
        cls.addClassCleanup(cls.make, "infra-stop")
        cls.processes = {}
        cls.addClassCleanup(cls.stop_all)
        cls.start("backend")
        wait_until(lambda: answers("/readyz"), 60, "the backend")
        cls.start("orchestrator")
        wait_until(lambda: '"ready":true' in curl("http://localhost:8000/api/v1/nodes").replace(" ", ""), 30, "a node")

    @classmethod
    def make(cls, *words):
        done = subprocess.run(["make", "-s", *words], cwd=ROOT, env=cls.environment, capture_output=True, text=True, timeout=600,
                              check=False)
        if done.returncode != 0:
            raise AssertionError(f"make {' '.join(words)} failed: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    @classmethod
    def start(cls, target):
        log = open(pathlib.Path(cls.infra) / f"{target}.log", "ab")  # pylint: disable=consider-using-with
        cls.addClassCleanup(log.close)
        cls.processes[target] = subprocess.Popen(["make", "-s", target], cwd=ROOT, env=cls.environment, stdout=log, stderr=log,
                                                 start_new_session=True)

    @classmethod
    def stop_all(cls):
        for process in cls.processes.values():
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)
        # The warden outlives its agent by design.
        for entry in pathlib.Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if entry.name.isdigit() and b"trainyard-warden" in words.split(b"\0")[0] and cls.infra.encode() in words:
                os.kill(int(entry.name), signal.SIGKILL)

    def job(self, number):
        return json.loads(curl(f"http://localhost:8000/api/v1/jobs/{number}"))

    def test_curl_command_trains_and_the_log_shows_the_manifest(self):
        answer = subprocess.run(shlex.split(CURL), capture_output=True, text=True, check=True, timeout=60)
        number = json.loads(answer.stdout)["id"]
        job = wait_until(lambda: (found := self.job(number))["state"] in ENDED and found, 120, "the end of the job")
        log = curl(f"http://localhost:8000/api/v1/jobs/{number}/logs")
        self.assertEqual(job["state"], "SUCCEEDED", log)
        self.assertIn("loss", job["metrics"], "details carry the latest metrics")
        self.assertIn("value", job["metrics"]["loss"])
        self.assertIn("links", job)

        line, _, rest = log.partition("\n")
        self.assertRegex(line, r"^Would create K8s Job trainyard-\d+-1$")
        self.assertEqual(line.rsplit(" ", 1)[1], self.manifests_of(rest)[-1]["metadata"]["name"])
        listed = [entry["id"] for entry in json.loads(curl("http://localhost:8000/api/v1/jobs"))["jobs"]]
        self.assertIn(number, listed)

    def manifests_of(self, text):
        """The YAML documents at the beginning of a log; each is checked against the API definitions of Kubernetes."""
        import yaml  # pylint: disable=import-outside-toplevel
        lines = []
        for line in text.splitlines():
            if not line.startswith((" ", "-")) and not line.split(":")[0].isalpha():
                break
            lines.append(line)
        manifests = []
        for document in "\n".join(lines).split("\n---\n"):
            try:
                manifests.append(yaml.safe_load(document))
            except yaml.YAMLError as error:
                raise AssertionError(f"the manifest is no YAML: {error}\n{document}") from error
        for manifest in manifests:
            self.assertEqual(kubernetes_schema.faults_of(manifest), [])
        return manifests

    def test_schema_check_finds_faults(self):
        good = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}}
        self.assertEqual(kubernetes_schema.faults_of(good), [])
        for change in ({"spec": {"template": {}, "paralelism": 1}}, {"spec": {"template": {}, "parallelism": "1"}}, {"spec": {}},
                       {"kind": "Jop"}):
            self.assertNotEqual(kubernetes_schema.faults_of({**good, **change}), [], change)

    def test_published_body_is_accepted_as_it_stands_and_can_be_cancelled(self):
        answer = json.loads(curl("-X", "POST", "http://localhost:8000/api/v1/jobs", "-H", "Content-Type: application/json",
                                 "-d", json.dumps(PUBLISHED)))
        self.assertEqual(answer.get("spec", {}).get("tasks"), 2, answer)
        cancelled = json.loads(curl("-X", "DELETE", f"http://localhost:8000/api/v1/jobs/{answer['id']}"))
        self.assertIn(cancelled["state"], ("STOPPING", "CANCELLED"))
        wait_until(lambda: self.job(answer["id"])["state"] in ENDED, 60, "the end of the cancelled job")

    def test_trainer_trains_without_a_server(self):
        self.assertIn("finished after", self.make("trainer"))

    def test_every_target_is_listed(self):
        listed = self.make("help")
        for target in ("install", "infra", "backend", "orchestrator", "trainer"):
            self.assertRegex(listed, rf"(?m)^{target} ")

    def test_applying_manifests_is_refused_with_a_reason(self):
        done = subprocess.run(["make", "-s", "backend", "USE_K8S=true"], cwd=ROOT, capture_output=True, text=True, check=False,
                              env=dict(self.environment, TRAINYARD_INFRA=self.infra), timeout=30)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, "server.kubernetes|data.locked")


if __name__ == "__main__":
    if not pathlib.Path(ROOT / "build/release/bin/trainyard").exists():
        sys.exit("the make targets run the programs of build/release, which are not there")
    unittest.main()
