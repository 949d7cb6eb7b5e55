"""Schemathesis over the served /openapi.json: no server error, no undocumented status, no answer that breaks its schema, no ignored
authentication, no request that the schema refuses and the server takes.

TRAINYARD_SCHEMATHESIS names a folder with schemathesis, as `tools/bootstrap tests` makes it: .deps/schemathesis. TRAINYARD_LONG=1 asks much
more, from a new seed; TRAINYARD_SEED chooses one.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

from harness import Server, wait_until

FOLDER = pathlib.Path(os.environ.get("TRAINYARD_SCHEMATHESIS", ".deps/schemathesis")).resolve()
NOT_RUN = 77
LONG = os.environ.get("TRAINYARD_LONG") == "1"
SEED = int(os.environ.get("TRAINYARD_SEED", random.SystemRandom().randrange(1 << 32) if LONG else 1))
# Whether a valid request finds what it asks for is no matter of the schema, so that nothing is said of valid requests that are refused.
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance", "negative_data_rejection", "unsupported_method", "allow_header_conformance", "ignored_auth")
# It ends what the others need.
LEFT_OUT = ("shutdownServer",)


def why_not_run():
    if not (FOLDER / "schemathesis").is_dir():
        return f"there is no schemathesis at {FOLDER}; tools/bootstrap tests puts one there"
    if sys.version_info[:2] != (3, 11):
        return f"the pinned schemathesis is built for Python 3.11, and this is {sys.version.split()[0]}"
    return None


def fill(server):
    """Things to find, so that not every answer is a 404."""
    for body in ({"command": ["true"]}, {"command": ["sh", "-c", "echo hello; exit 3"]}, {"command": ["sleep", "600"], "hold": True},
                 {"command": ["sleep", "600"], "array": {"count": 5, "max_running": 1}, "resources": {"cpu": "100m"}}):
        status, answer = server.call("POST", "/api/v1/jobs", body)
        assert status == 201, answer
    workflow = b"workflow: w\ntasks:\n  a:\n    job: {command: ['true'], hold: true}\n"
    for path, body in (("/api/v1/users", {"name": "ann", "grants": [{"namespace": "default", "role": "runner"}]}),
                       ("/api/v1/tokens", {"user": "ann", "name": "other"}),
                       ("/api/v1/models/digits/versions", {"source": "ty://models/none", "alias": "best"}),
                       ("/api/v1/workflows:run", workflow)):
        status, answer = server.call("POST", path, body)
        assert status == 201, answer
    wait_until(lambda: len(server.call("GET", "/api/v1/jobs?state=FAILED")[1]["jobs"]) > 0, what="a failed job")


class SchemathesisTest(unittest.TestCase):
    def setUp(self):
        # A small node: jobs that are made up here mostly wait.
        self.server = Server("--cpus", "1", "--memory", "1GiB")
        self.addCleanup(self.server.close)
        fill(self.server)

    def viewer_token(self):
        self.server.call("POST", "/api/v1/users", {"name": "vera", "grants": [{"namespace": "*", "role": "viewer"}]})
        return self.server.call("POST", "/api/v1/tokens", {"user": "vera", "name": "test"})[1]["secret"]

    def run_with(self, token, phases, examples):
        """Asks every operation with this token. `phases`: the bounds of every schema, or so many random examples of each operation."""
        tokens = self.server.call("GET", "/api/v1/tokens")[1]["tokens"]
        known = {"jobs": ["1", "2", "3", "4"], "users": ["ann"], "tokens": [tokens[0]["id"]], "models": ["digits"],
                 "queues": ["default"], "nodes": ["local"], "pools": ["default"], "workflows": ["1"],
                 "runs": [self.server.job("1")["run_id"]], "trials": ["1"]}
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "run", self.server.url + "/openapi.json",
                       "-H", "Authorization: Bearer " + token, "--checks", ",".join(CHECKS),
                       "--phases", "coverage,fuzzing" if LONG else phases,
                       "--max-examples", "500" if LONG else str(examples), "--seed", str(SEED), "--workers", "1", "--continue-on-failure",
                       "--suppress-health-check", "all", "--request-timeout", "20", "--warnings", "off"]
            if LONG:
                command += ["--max-time", "900"]
            for operation in LEFT_OUT:
                command += ["--exclude-operation-id", operation]
            environment = dict(os.environ, PYTHONPATH=f"{FOLDER}:{pathlib.Path(__file__).parent}",
                               SCHEMATHESIS_HOOKS="schemathesis_hooks", TRAINYARD_KNOWN=json.dumps(known))
            done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, timeout=1200, check=False)
        print(f"seed {SEED}: " + next((line.strip() for line in done.stdout.splitlines() if " generated" in line), "no summary"))
        if done.returncode != 0:
            self.fail(f"seed {SEED}, which TRAINYARD_SEED repeats\n{done.stdout[-12000:]}{done.stderr[-4000:]}")
        self.assertEqual(self.server.call("GET", "/healthz", token="")[0], 200)

    def test_admin_finds_nothing_that_the_document_does_not_say(self):
        self.run_with(self.server.token, "coverage", 1)

    def test_viewer_finds_nothing_that_the_document_does_not_say(self):
        self.run_with(self.viewer_token(), "fuzzing", 3)


if __name__ == "__main__":
    reason = why_not_run()
    if reason is not None:
        print("NOT RUN: " + reason)
        sys.exit(NOT_RUN)
    unittest.main()
