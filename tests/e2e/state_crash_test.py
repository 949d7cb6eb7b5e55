"""The crash sweep with the state elsewhere: jobs in Redis or PostgreSQL, everything relational in PostgreSQL, real servers that this test
starts. kill -9 of Trainyard's server at the failpoints of its ledger, and of it and of the databases at random times.

TRAINYARD_SWEEP=long tries more hits and many more kills; TRAINYARD_SEED=N repeats the choices of a random test.
"""

import concurrent.futures
import contextlib
import http.client
import itertools
import os
import tempfile
import threading
import unittest

import crash_test
import servers
from harness import wait_until

LONG = os.environ.get("TRAINYARD_SWEEP") == "long"
# What differs with the state elsewhere; SQLite's own places are swept by the other suites. Redis commits in one script.
FAILPOINTS = ("ledger.after_epoch_raised", "ledger.before_commit", "ledger.after_commit", "jobs.before_release", "history.before_commit",
              "history.after_record")
ONLY_POSTGRES = ("ledger.after_write_before_commit",)
REDIS_DATABASES = 16  # As many as a Redis has unless it is told otherwise.


@unittest.skipIf(servers.servers_are_left_out(), "TRAINYARD_WITHOUT_SERVERS=1 is set: NOTHING WAS TESTED ON POSTGRESQL AND REDIS")
class StateTest(crash_test.SweepTest):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="trainyard-state-")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.postgres = servers.start_postgres(cls.directory.name + "/postgres")
        cls.addClassCleanup(cls.postgres.stop)
        cls.numbers = itertools.count()
        cls.redis = []
        cls.addClassCleanup(lambda: [redis.stop() for redis in cls.redis])

    def options(self, ledger):
        """State of its own: a schema, and a database of some Redis."""
        number = next(self.numbers)
        database = f"{self.postgres.url}?schema=case{number}"
        if ledger == "postgres":
            return ["--state", database, "--database", database]
        if number // REDIS_DATABASES >= len(self.redis):
            self.redis.append(servers.start_redis(f"{self.directory.name}/redis{len(self.redis)}"))
        return ["--state", self.redis[-1].url.removesuffix("0") + str(number % REDIS_DATABASES), "--database", database]


class FailpointTest(StateTest):
    DEATHS = [f"{action}@{hit}" for action in ("exit", "stall") for hit in ((1, 2, 3, 5, 8) if LONG else (1,))]

    def check_ledger(self, ledger, names):
        cases = [(name, death, self.options(ledger)) for name in names for death in self.DEATHS]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            results = [pool.submit(self.sweep_one, name, death, True, (), options) for name, death, options in cases]
        for (name, death, _), result in zip(cases, results):
            with self.subTest(ledger=ledger, failpoint=name, death=death):
                self.assertTrue(result.result() or not death.endswith("@1"), f"{name} was never reached")

    def test_server_with_its_jobs_in_redis_dies_at_the_failpoints_of_the_ledger(self):
        self.check_ledger("redis", FAILPOINTS)

    def test_server_with_its_jobs_in_postgres_dies_at_the_failpoints_of_the_ledger(self):
        self.check_ledger("postgres", FAILPOINTS + ONLY_POSTGRES)


class KilledDatabaseTest(StateTest):
    """A server whose ledger fails ends itself: what it had not acknowledged is not there, everything else is."""

    ROUNDS = 300 if LONG else 6

    def revive(self, cluster, databases):
        for database in databases:
            if database.process.poll() is not None:
                database.start()
        cluster.revive()

    def submit(self, cluster, key, databases):
        """The job of this key, however many servers it takes: one whose database went away ends at its next commit."""
        def attempt():
            with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
                if job := cluster.try_submit(key, self.fields(key)):
                    return job
            self.revive(cluster, databases)
            return None

        return wait_until(attempt, timeout=60, what=f"an answer to the submit of {key}")

    def fields(self, key):
        return {"command": crash_test.numbered_lines(), "tasks": 1 + int(key[-1]), "resources": {"cpu": "100m"},
                "retry": {"backoff_base": "10ms"}}

    def kill_at_random(self, ledger):
        options = self.options(ledger)
        databases = [self.postgres] + (self.redis[-1:] if ledger == "redis" else [])
        kills = 0
        with self.chance() as chance, crash_test.Cluster(True, options=options) as cluster:
            acknowledged = {}
            for number in range(self.ROUNDS):
                victims = chance.choice([("server",), ("database",), ("server", "database"), ("database", "server")])
                database = chance.choice(databases)
                kill = {"server": lambda: cluster.kill("server"), "database": database.kill}
                killer = threading.Timer(chance.uniform(0.0, 0.15), lambda: [kill[victim]() for victim in victims])
                killer.start()
                for i in range(2):
                    key = f"{number}-{i}"
                    with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
                        if job := cluster.try_submit(key, self.fields(key)):
                            acknowledged[key] = job
                killer.join()
                kills += len(victims)
                self.revive(cluster, databases)
                # Said again under its key, an acknowledged submit is the same job.
                for key in (f"{number}-0", f"{number}-1"):
                    job = self.submit(cluster, key, databases)
                    self.assertEqual(acknowledged.setdefault(key, job), job, f"an acknowledged job is lost: {key}")
            self.assertEqual(len(set(acknowledged.values())), 2 * self.ROUNDS)
            with contextlib.suppress(AssertionError):
                wait_until(lambda: all(cluster.state(job) == "SUCCEEDED" for job in acknowledged.values()), timeout=40)
            slow = {job: state for job in acknowledged.values() if (state := cluster.state(job)) != "SUCCEEDED"}
            self.assertEqual(slow, {}, (cluster.server.root / "server.log").read_text()[-3000:])
            for key, job in acknowledged.items():
                self.check_job(cluster, job, attempts_max=1, ranks=1 + int(key[-1]))
            self.check_nothing_left(cluster)
        print(f"{ledger}: {kills} kills, {len(acknowledged)} jobs", flush=True)

    def test_kills_of_server_redis_and_postgres_lose_nothing(self):
        self.kill_at_random("redis")

    def test_kills_of_server_and_postgres_lose_nothing(self):
        self.kill_at_random("postgres")


if __name__ == "__main__":
    unittest.main(verbosity=2)
