"""Several server processes as one installation: jobs in a real Redis, the rest in a real PostgreSQL, one leader, others that hand on and
take over. Whatever happens to the leader, nothing acknowledged is lost and what runs goes on."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error

import servers
from harness import BIN, Server, process_alive, wait_until, warden_of

TAKEOVER = "1500ms"
KILLS = 60 if os.environ.get("TRAINYARD_SWEEP") == "long" else 3
SEARCH = ("POST", "/api/2.0/mlflow/experiments/search", {"max_results": 1}, {"Content-Type": "application/json"})


def free_of(ports):
    return ",".join(f"{name}=127.0.0.1:0" for name in ports)


@unittest.skipIf(servers.servers_are_left_out(), "TRAINYARD_WITHOUT_SERVERS=1: nothing is shown about several servers")
class SeveralServersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="trainyard-several-")
        root = pathlib.Path(cls.directory.name)
        cls.redis = servers.start_redis(root / "redis")
        cls.postgres = servers.start_postgres(root / "postgres")
        cls.files = root / "files"
        cls.state = cls.state_with()

    @classmethod
    def state_with(cls, files=None, takeover=TAKEOVER):
        return ["--state", cls.redis.url, "--database", cls.postgres.url, "--files", str(files or cls.files), "--takeover", takeover]

    @classmethod
    def tearDownClass(cls):
        cls.redis.stop()
        cls.postgres.stop()
        cls.directory.cleanup()

    def start(self, takeover=TAKEOVER):
        server = Server("server", *self.state_with(takeover=takeover))
        self.addCleanup(server.close)
        return server

    def start_agent(self, name, *started):
        node = tempfile.mkdtemp(prefix="trainyard-several-node-")
        agent = subprocess.Popen(
            [BIN / "trainyard-agent", "--join", ",".join(server.url for server in started), "--token-file", started[0].ready["token_file"],
             "--data", node, "--node", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():
            agent.kill()
            agent.wait()
            while warden := warden_of(node):
                os.kill(warden, signal.SIGKILL)
                wait_until(lambda: not process_alive(warden), what="the end of the warden")
        self.addCleanup(end)
        wait_until(lambda: self.is_ready(started[0], name), timeout=40, what=f"the node {name}")
        return agent

    @staticmethod
    def is_ready(server, name):
        status, node = server.call("GET", f"/api/v1/nodes/{name}")
        return status == 200 and node["ready"]

    @staticmethod
    def leads(server):
        status, text = server.call("GET", "/metrics")
        return status == 200 and "\ntrainyard_leader 1" in text

    def wait_for_lead(self, server):
        """Seconds until `server` leads."""
        start = time.monotonic()
        wait_until(lambda: self.leads(server), timeout=30, what="the lead")
        return time.monotonic() - start

    def test_follower_hands_on_and_takes_over_what_runs(self):
        first = self.start()
        second = self.start()
        self.assertTrue(self.leads(first))
        self.assertFalse(self.leads(second))
        agent = self.start_agent("several-1", second, first)

        # Everything that the leader holds is reached through the other one, with the credentials of either.
        lines = "for i in $(seq 1 400); do echo line $i; sleep 0.02; done"
        job = second.submit("sh", "-c", lines)
        done = second.submit("true", key="once")
        self.assertEqual(second.submit("true", key="once"), done)
        self.assertEqual(first.wait(done)["state"], "SUCCEEDED")
        wait_until(lambda: first.job(job)["state"] == "RUNNING", what="the job")
        self.assertEqual(second.job(job)["attempt"], 1)

        first.kill()
        took = self.wait_for_lead(second)
        self.assertLess(took, 10, "a silent leader is replaced after 1.5 s")
        self.assertEqual(second.submit("true", key="once"), done, "the key is remembered over the change of leader")
        ended = second.wait(job, timeout=60)
        self.assertEqual((ended["state"], ended["attempt"]), ("SUCCEEDED", 1), "it was not restarted")
        self.assertEqual(second.logs(job).splitlines(), [f"line {i}" for i in range(1, 401)])

        # The old leader comes back and follows.
        first.restart()
        self.assertFalse(self.leads(first))
        again = first.submit("echo", "through the follower")
        self.assertEqual(first.wait(again)["state"], "SUCCEEDED")
        self.assertEqual(first.logs(again), "through the follower\n")
        followed = first.cli("job", "logs", "-f", again)
        self.assertEqual((followed.returncode, followed.stdout), (0, "through the follower\n"))
        self.assertIsNone(agent.poll())

    def test_jobs_are_told_the_server_that_their_agent_uses_now(self):
        first = self.start()
        self.wait_for_lead(first)
        second = self.start()
        self.start_agent("several-urls", first, second)
        show = ["sh", "-c", "echo $TRAINYARD_API_URL $MLFLOW_TRACKING_URI"]
        job = first.submit(*show)
        self.assertEqual(first.wait(job)["state"], "SUCCEEDED")
        self.assertEqual(first.logs(job), f"{first.url} {first.url}\n")
        first.kill()
        self.wait_for_lead(second)
        wait_until(lambda: self.is_ready(second, "several-urls"), timeout=40, what="the node at the other server")
        job = second.submit(*show)
        self.assertEqual(second.wait(job)["state"], "SUCCEEDED")
        self.assertEqual(second.logs(job), f"{second.url} {second.url}\n")

    def test_directory_whose_jobs_are_in_redis_says_so_and_is_not_started_without(self):
        ledger = self.redis.url.rsplit("/", 1)[0] + "/7"
        server = Server("server", "--state", ledger)
        self.addCleanup(server.close)
        said = (server.root / "server.log").read_text()
        self.assertIn("jobs in redis://", said)
        self.assertNotIn("SQLite", said)
        server.kill()
        ended = subprocess.run([BIN / "trainyard", "server", "--data", server.data, "--port", "0"], capture_output=True, text=True,
                               timeout=60, check=False)
        self.assertEqual(ended.returncode, 1, ended.stdout)
        self.assertIn("--state", ended.stderr)
        self.assertIn(ledger, ended.stderr)
        self.assertNotIn("backup", ended.stderr)
        server.restart()

    def test_leaders_that_are_killed_under_load_lose_and_repeat_nothing(self):
        """Clients submit through both processes, each job under a key of its own, until it is acknowledged; leaders die all the while."""
        pair = [self.start(), self.start()]
        wait_until(lambda: any(self.leads(server) for server in pair), what="a leader")
        self.start_agent("several-2", *pair)
        ran = pathlib.Path(tempfile.mkdtemp(prefix="trainyard-several-ran-"))
        acknowledged, stop, trouble = {}, threading.Event(), []

        def client(number):
            made = 0
            while not stop.is_set():
                key = f"{ran.name}-{number}-{made}"
                command = ["sh", "-c", f"echo $TRAINYARD_ATTEMPT >> {ran}/{key}; sleep 0.3"]
                body = {"command": command, "name": key, "resources": {"cpu": "50m"}}
                with contextlib.suppress(OSError, urllib.error.URLError):
                    status, answer = pair[number % 2].call("POST", "/api/v1/jobs", body, {"Idempotency-Key": key}, timeout=10)
                    if status == 201:
                        acknowledged[key] = answer["id"]
                        made += 1
                    elif status not in (429, 503):
                        trouble.append((status, answer))
                        return
                stop.wait(0.05)

        clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
        for thread in clients:
            thread.start()
        try:
            for _ in range(KILLS):
                victim = wait_until(lambda: next((server for server in pair if self.leads_quietly(server)), None), what="a leader")
                stop.wait(random.uniform(0.2, 1.0))
                victim.kill()
                other = pair[1 - pair.index(victim)]
                wait_until(lambda: self.leads_quietly(other), timeout=30, what="the next leader")
                victim.restart()
        finally:
            stop.set()
            for thread in clients:
                thread.join()
        self.assertEqual(trouble, [])
        self.assertGreater(len(acknowledged), 10 * KILLS)
        self.assertEqual(len(set(acknowledged.values())), len(acknowledged), "every key has a job of its own")
        for key, job in acknowledged.items():
            ended = pair[0].wait(job, timeout=120)
            self.assertEqual((key, ended["state"], ended["name"]), (key, "SUCCEEDED", key))
            self.assertEqual((ran / key).read_text().split(), ["1"], f"job {job} ran once, and no healthy one was started again")
        shutil.rmtree(ran)

    def leads_quietly(self, server):
        with contextlib.suppress(OSError, urllib.error.URLError):
            return self.leads(server)
        return False

    def test_leader_that_slept_ends_when_it_wakes(self):
        first = self.start()
        self.wait_for_lead(first)
        second = self.start()
        job = first.submit("true", hold=True)
        first.process.send_signal(signal.SIGSTOP)
        self.addCleanup(first.process.send_signal, signal.SIGCONT)
        self.wait_for_lead(second)
        later = second.submit("true", hold=True)
        self.assertGreater(int(later), int(job))
        first.process.send_signal(signal.SIGCONT)
        self.assertEqual(first.process.wait(timeout=20), 70)
        self.assertIn("leader.deposed", (first.root / "server.log").read_text())
        self.assertEqual([second.job(job)["state"], second.job(later)["state"]], ["QUEUED", "QUEUED"])

    def test_leader_that_is_stopped_hands_over_at_once(self):
        first = self.start(takeover="20s")
        second = self.start(takeover="20s")
        leader, other = (first, second) if self.leads(first) else (second, first)
        leader.process.terminate()
        self.assertEqual(leader.process.wait(timeout=20), 0)
        self.assertLess(self.wait_for_lead(other), 12, "the next turn, every 4 s, finds the lead free")

    def test_credentials_count_at_every_process_and_end_at_every_process(self):
        leader = self.start()
        self.wait_for_lead(leader)
        tracking = Server("server", *self.state, "--roles", "tracking,registry")
        self.addCleanup(tracking.close)
        status, _ = leader.call("POST", "/api/v1/users", {"name": "ann", "grants": [{"namespace": "*", "role": "runner"}]})
        self.assertIn(status, (201, 409))
        status, made = leader.call("POST", "/api/v1/tokens", {"user": "ann", "name": "test"})
        self.assertEqual(status, 201, made)

        def seen():
            return tracking.call(*SEARCH, token=made["secret"])[0]
        wait_until(lambda: seen() == 200, what="the token at the other process")
        self.assertEqual(leader.call("DELETE", f"/api/v1/tokens/{made['token']['id']}")[0] // 100, 2)
        wait_until(lambda: seen() == 401, what="the end of the token at the other process")
        self.assertEqual(leader.call("GET", "/api/v1/jobs", token=tracking.token)[0], 200, "every data directory has its own admin token")

    def test_roles_are_served_at_their_listeners_and_nothing_else_there(self):
        leader = self.start()
        self.wait_for_lead(leader)
        tracking = Server("server", *self.state, "--roles", "tracking", "--listen", free_of(["tracking", "metrics"]))
        self.addCleanup(tracking.close)
        self.assertEqual(tracking.call(*SEARCH)[0], 200)
        self.assertEqual(tracking.call("GET", "/api/v1/jobs")[0], 404)
        self.assertEqual(tracking.call("GET", "/metrics")[0], 404, "measurements have a listener of their own")
        self.assertEqual(tracking.call("GET", "/readyz")[0], 200)

        front = Server("server", *self.state, "--roles", "api")
        self.addCleanup(front.close)
        job = front.submit("true", hold=True)
        self.assertEqual(leader.job(job)["state"], "QUEUED")
        self.assertEqual(front.call(*SEARCH)[0], 200, "what the process does not do itself is handed on")
        self.assertEqual(front.call("GET", "/api/v1/jobs", token="ty_pat_wrong")[0], 401)
        self.assertEqual(front.call("GET", "/openapi.json")[0], 200)

    def test_process_that_does_not_fit_is_refused_with_what_to_do(self):
        leader = self.start()
        self.wait_for_lead(leader)
        with tempfile.TemporaryDirectory() as directory:
            def refused(*options):
                ended = subprocess.run([BIN / "trainyard", "server", "--data", directory + "/data", "--port", "0", *options],
                                       capture_output=True, text=True, timeout=60)
                self.assertEqual(ended.returncode, 1, ended.stderr)
                return ended.stderr
            self.assertIn("server.one_process", refused("--roles", "api"))
            self.assertIn("state.other_files", refused(*self.state_with(files=directory + "/elsewhere")))
            local_jobs = ["--database", self.postgres.url, "--files", str(self.files)]
            self.assertIn("state.other_ledger", refused(*local_jobs))
            self.assertIn("--advertise", refused(*self.state, "--host", "0.0.0.0", "--insecure-public"))
            self.assertIn("--public-url", refused(*self.state, "--public-url", "yard.example/here"))
            with_worker = subprocess.run([BIN / "trainyard", "up", "--data", directory + "/up", "--port", "0", *self.state],
                                         capture_output=True, text=True, timeout=60)
            self.assertIn("server.not_leader", with_worker.stderr)
            self.assertIn(leader.url, with_worker.stderr, "says who leads")

    def test_second_process_on_one_sqlite_file_is_refused(self):
        with tempfile.TemporaryDirectory() as directory:
            state = ["--state", f"sqlite://{directory}/jobs.db", "--database", f"sqlite://{directory}/rest.db"]
            with Server("server", *state):
                ended = subprocess.run([BIN / "trainyard", "server", "--data", directory + "/data", "--port", "0", *state],
                                       capture_output=True, text=True, timeout=60)
                self.assertEqual(ended.returncode, 1)
                self.assertIn("state.in_use", ended.stderr)
                self.assertIn("postgresql://", ended.stderr)


if __name__ == "__main__":
    unittest.main()
