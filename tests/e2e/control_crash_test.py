"""Kill -9 of the server and of a joining agent at every failpoint of what people and the control plane do beside the path of a single job:
users and tokens, joins, cordons, holds, priorities, dependencies, arrays, gangs over two nodes, the history, runs, the first start.

What was answered is still true after the restart, what was not answered may be asked again, and the job that runs meanwhile is untouched.
crash_test.py sweeps the path of a job. TRAINYARD_SWEEP=long tries more hits. docs/reliability.md says what each failpoint puts at stake.
"""

import concurrent.futures
import contextlib
import http.client
import json
import os
import subprocess
import tempfile
import unittest

import crash_test
from harness import BIN, Server, wait_until

LONG = os.environ.get("TRAINYARD_SWEEP") == "long"
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT")
METRICS = 10
ELEMENTS = 6

# Where each failpoint is hit. Those of crash_test.py and of the suites that it names are not repeated here.
AT_THE_AGENT = ("credential.before_save", "credential.after_save")
NEEDS_LONG_LOG = ("ledger.before_checkpoint", "ledger.after_checkpoint")


class Day:
    """One server, a first agent with the token of the administrator and a second machine that joins with a token made for it; `victim` dies
    once at `failpoint`, and is started again."""

    def __init__(self, failpoint, victim="server", options=()):
        self.victim = victim
        self.failpoint = failpoint
        self.marks = tempfile.TemporaryDirectory(prefix="trainyard-mark-")
        self.mark = self.marks.name + "/died"
        self.environment = {"TRAINYARD_FAILPOINT_MARK": self.mark}
        self.agents = {}
        self.jobs = {}
        self.restarts = 0
        self.server = Server("server", *options, failpoints=failpoint if victim == "server" else "", environment=self.environment)
        self.start_agent("first", self.server.ready["token_file"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name, agent in self.agents.items():
            agent.kill()
            agent.wait()
            while warden := crash_test.warden_of(self.server.root / name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(warden, 9)
                wait_until(lambda pid=warden: not crash_test.process_alive(pid), what="the end of a warden")
        self.server.close()
        self.marks.cleanup()

    def reached(self):
        return os.path.exists(self.mark)

    def revive(self):
        """Waits for the death of the server that has broken a connection, and starts it again."""
        wait_until(lambda: self.server.process.poll() is not None, timeout=10, what="the death of a server that does not answer")
        self.restarts += 1
        self.server.restart()

    def ask(self, method, path, body=None, again=(), token=None, headers=None, missing=False):
        """The answer, however often the server must be started for it. `again`: statuses that a repeated request may get too; `missing`:
        what is not there is an answer as well."""
        for tries in range(4):
            try:
                status, answer = self.server.call(method, path, body, headers, token=token, timeout=20)
            except (OSError, http.client.HTTPException):
                self.revive()
                continue
            if status < 300 or (tries > 0 and status in again) or (missing and status == 404):
                return answer
            # A node is not known until its first report.
            if status in (404, 409) and isinstance(answer, dict) and answer.get("code") in ("node.unknown", "spec.impossible_resources"):
                wait_until(lambda: self.ready_nodes() == sorted(self.agents), what="the nodes")
                continue
            raise AssertionError(f"{method} {path} answered {status}: {answer}")
        raise AssertionError(f"{method} {path} was not answered after {self.restarts} restarts")

    def ready_nodes(self):
        try:
            return sorted(node["name"] for node in self.server.call("GET", "/api/v1/nodes")[1]["nodes"] if node["ready"])
        except (OSError, http.client.HTTPException):
            if self.server.process.poll() is not None:
                self.revive()
            return []

    def submit(self, name, *command, **fields):
        spec = {"name": name, "command": list(command), "resources": {"cpu": "100m"}, "retry": {"backoff_base": "10ms"}, **fields}
        self.jobs[name] = self.ask("POST", "/api/v1/jobs", spec, headers={"Idempotency-Key": name})["id"]
        return self.jobs[name]

    def job(self, name):
        return self.ask("GET", f"/api/v1/jobs/{self.jobs[name]}")

    def words_of_log(self, name):
        return self.ask("GET", f"/api/v1/jobs/{self.jobs[name]}/logs").split()

    def join_second(self):
        """A machine joins with a token that is good once. Where the answer was lost the token is spent: then there is a new one."""
        directory = self.server.root / "second"
        directory.mkdir()
        token = directory / "token"

        def new_token():
            token.write_text(self.ask("POST", "/api/v1/agents/join-tokens", {"node": "second"})["secret"])

        def ready():
            if self.ready_nodes() == ["first", "second"]:
                return True
            if self.agents["second"].poll() is not None:
                if b"agent.join_refused" in (directory / "output").read_bytes():
                    (directory / "output").unlink()
                    new_token()
                self.start_agent("second", token)
            return False

        new_token()
        self.start_agent("second", token, self.failpoint if self.victim == "agent" else "")
        wait_until(ready, timeout=30, what="the second node")
        self.secret = json.loads((directory / "credential.json").read_text())["secret"]

    def start_agent(self, name, token, failpoint=""):
        directory = self.server.root / name
        directory.mkdir(exist_ok=True)
        with open(directory / "output", "ab") as output:
            self.agents[name] = subprocess.Popen(
                [BIN / "trainyard-agent", "--join", self.server.url, "--token-file", token, "--data", directory, "--node", name, "--cpus",
                 "4"], stdout=output, stderr=output,
                env=dict(os.environ, TRAINYARD_FAILPOINTS=failpoint, **self.environment))


class ControlCrashTest(unittest.TestCase):
    DEATHS = [f"{action}@{hit}" for action in ("exit", "stall") for hit in ((1, 2, 3, 5, 8) if LONG else (1,))]

    def change_access(self, day):
        day.ask("POST", "/api/v1/users", {"name": "ann", "grants": [{"namespace": "vision", "role": "viewer"}]}, again=(409,))
        day.ask("PUT", "/api/v1/users/ann/grants", {"namespace": "vision", "role": "operator"})
        self.kept = day.ask("POST", "/api/v1/tokens", {"user": "ann", "name": "kept"})
        gone = day.ask("POST", "/api/v1/tokens", {"user": "ann", "name": "gone"})
        day.ask("DELETE", "/api/v1/tokens/" + gone["token"]["id"])
        return self.kept, gone

    def submit_jobs(self, day):
        go = day.server.root / "go"
        day.submit("healthy", "sh", "-c", f"echo pid $$; while [ ! -e {go} ]; do sleep 0.02; done")
        wait_until(lambda: day.job("healthy")["state"] == "RUNNING", what="the job that is to be left alone")
        day.submit("held", "true", hold=True)
        day.submit("parked", "true", after=[{"job": int(day.jobs["healthy"]), "when": "ok"}])
        day.submit("fails", "sh", "-c", "exit 3")
        day.submit("never", "true", after=[{"job": int(day.jobs["fails"]), "when": "ok"}])
        day.submit("cleanup", "true", after=[{"job": int(day.jobs["fails"]), "when": "failed"}])
        day.submit("array", "true", array={"count": ELEMENTS, "max_running": 2})
        day.submit("summary", "true", after=[{"job": int(day.jobs["array"]), "when": "ok"}])
        metric = 'echo "{\\"event\\":\\"metric\\",\\"key\\":\\"loss\\",\\"value\\":$i,\\"step\\":$i}" >&3'
        day.submit("metrics", "sh", "-c", f"i=0; while [ $i -lt {METRICS} ]; do i=$((i+1)); {metric}; sleep 0.01; done")
        day.submit("cancelled", "sleep", "600", limits={"grace": "1s"})
        day.submit("gang", "sh", "-c", "echo $RANK; sleep 0.1", tasks=2, resources={"cpu": 3})

    def change_jobs(self, day):
        def post(name, verb, body=None):
            day.ask("POST", f"/api/v1/jobs/{day.jobs[name]}/{verb}", body or {})

        wait_until(lambda: day.job("cancelled")["state"] == "RUNNING", what="the job that is to be cancelled")
        post("cancelled", "cancel")
        post("held", "priority", {"priority": 7})
        post("parked", "hold")
        held, parked = day.job("held"), day.job("parked")
        self.assertEqual((held["priority"], held["attempt"], bool(held.get("held")), bool(parked.get("held"))), (7, 0, True, True))
        post("held", "release")
        post("parked", "release")

    def fill_log_of_ledger(self, day):
        """The write-ahead log of the ledger grows until it is moved into the file."""
        jobs = [{"command": ["true"], "hold": True, "env": {"FILL": "x" * 4000}} for _ in range(200)]
        for _ in range(7):
            day.ask("POST", "/api/v1/jobs:batch", {"jobs": jobs})

    def check_access(self, day, kept, gone):
        day.ask("GET", "/api/v1/jobs", token=kept["secret"])
        self.assertEqual(day.server.call("GET", "/api/v1/jobs", token=gone["secret"])[0], 401, "a revoked token is good again")
        self.assertEqual(day.ask("GET", "/api/v1/users/ann")["grants"], [{"namespace": "vision", "role": "operator"}])
        issued = [record["action"] for record in day.ask("GET", "/api/v1/audit")["records"] if record["action"].startswith("token.issue")]
        for token in (kept, gone):
            self.assertEqual(issued.count("token.issue " + token["token"]["id"]), 1, "each change is audited once")

    def check_jobs(self, day):
        expected = {"fails": "FAILED", "never": "CANCELLED", "cancelled": "CANCELLED"}
        for name in day.jobs:
            wait_until(lambda name=name: day.job(name)["state"] in ENDED, timeout=30, what="the end of " + name)
            ended = day.job(name)
            self.assertEqual(ended["state"], expected.get(name, "SUCCEEDED"), f"{name}: {ended['reason']}")
            self.assertLessEqual(ended["attempt"], 1, f"{name} was started again: {ended['reason']}")
            events = [event["type"] for event in day.ask("GET", f"/api/v1/jobs/{day.jobs[name]}/events?limit=1000")["events"]]
            self.assertEqual(sum(event.upper() in ENDED for event in events), 1, f"{name} ends once: {events}")
            if name in ("held", "parked"):
                self.assertLess(events.index("released"), events.index("starting" if "starting" in events else "launching"), events)
        self.assertEqual(day.words_of_log("healthy"), self.pid, "the job that ran was left alone")
        elements = day.ask("GET", f"/api/v1/jobs?array={day.jobs['array']}&limit=100")["jobs"]
        self.assertEqual(sorted(element["array_index"] for element in elements), list(range(ELEMENTS)))
        self.assertEqual({(element["state"], element["attempt"]) for element in elements}, {("SUCCEEDED", 1)})
        self.assertEqual(sorted(rank["node"] for rank in day.job("gang")["ranks"]), ["first", "second"])

    def check_followers(self, day):
        """What is written behind the ledger has caught up: the history counts each job once, runs have ended, points are there once."""
        ended = len(day.jobs) - 1 + ELEMENTS
        wait_until(lambda: sum(row["jobs"] for row in day.ask("GET", "/api/v1/usage?by=queue")["usage"]) == ended, what="the history")
        for name, status in (("metrics", "FINISHED"), ("fails", "FAILED"), ("cancelled", "KILLED"), ("gang", "FINISHED")):
            run = day.job(name)["links"]["run"]
            wait_until(lambda run=run, status=status: day.ask("GET", run, missing=True).get("status") == status, what=f"the run of {name}")
        points = day.ask("GET", day.job("metrics")["links"]["run"] + "/metrics?key=loss")["points"]
        self.assertEqual([point["step"] for point in points], list(range(1, METRICS + 1)))

    def live_through(self, day, long_log=False):
        kept, gone = self.change_access(day)
        day.join_second()
        day.ask("POST", "/api/v1/agents/renew", {}, token=day.secret)
        day.ask("POST", "/api/v1/nodes/second/cordon", {"reason": "repair"})
        self.assertEqual(day.ask("GET", "/api/v1/nodes/second")["state"], "cordoned")
        self.submit_jobs(day)
        self.pid = wait_until(lambda: day.words_of_log("healthy"), what="the pid")
        if long_log:
            self.fill_log_of_ledger(day)
        day.ask("POST", "/api/v1/nodes/second/uncordon", {})
        self.change_jobs(day)
        for name in ("gang", "metrics", "summary"):
            wait_until(lambda name=name: day.job(name)["state"] in ENDED, timeout=30, what="the end of " + name)
        (day.server.root / "go").touch()
        wait_until(lambda: day.job("parked")["state"] in ENDED, timeout=30, what="the last job")
        self.check_jobs(day)
        self.check_access(day, kept, gone)
        self.check_followers(day)

    def sweep_one(self, name, death):
        with Day(f"{name}={death}", "agent" if name in AT_THE_AGENT else "server") as day:
            case = ControlCrashTest()  # Cases run beside each other and keep what they learn apart.
            case.live_through(day, long_log=name in NEEDS_LONG_LOG)
            return day.reached()

    def test_every_failpoint_of_changes_by_people_and_of_what_follows_the_ledger(self):
        cases = [(name, death) for name in crash_test.CONTROL_FAILPOINTS for death in self.DEATHS]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            results = [pool.submit(self.sweep_one, *case) for case in cases]
        reached = 0
        for (name, death), result in zip(cases, results):
            with self.subTest(failpoint=name, death=death):
                reached += result.result()
                self.assertTrue(result.result() or not death.endswith("@1"), f"{name} was never reached")
        print(f"{len(crash_test.CONTROL_FAILPOINTS)} failpoints, {reached} deaths", flush=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
