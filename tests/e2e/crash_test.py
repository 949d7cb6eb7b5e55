"""Kill -9 of server, agent, both and warden: at every failpoint that the programs list, and at random times.

No acknowledged job is lost, ranks that run are untouched and adopted again, and every log line is kept once and in order. A dead warden
takes its ranks and their children along, and their jobs are tried again. TRAINYARD_SWEEP=long tries more hits and more random kills;
TRAINYARD_SEED=N repeats the choices of a random test.
"""

import concurrent.futures
import contextlib
import http.client
import os
import pathlib
import random
import re
import signal
import subprocess
import tempfile
import threading
import unittest

from harness import BIN, Server, process_alive, wait_until, warden_of

LONG = os.environ.get("TRAINYARD_SWEEP") == "long"
SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src"
LINES = 20

# Which program hits the failpoints with this prefix. Failpoints of a prefix that is not named here fail a test.
PROGRAM_OF = {"agent": "agent", "jobs": "server", "ledger": "server", "log": "server", "pool": "server", "warden": "warden"}
# Hit by what people and the control plane do beside the path of a single job: control_crash_test.py sweeps these.
CONTROL_FAILPOINTS = (
    "access.after_grant_commit", "access.after_join_commit", "access.after_renew_commit", "access.after_revoke_commit",
    "access.after_token_commit", "access.before_join_commit", "access.before_revoke_commit", "access.before_token_commit",
    "cluster.after_intent_commit", "cluster.before_intent_commit", "credential.after_save", "credential.before_save",
    "database.after_migration", "events.after_metrics", "file.before_rename", "history.after_record", "history.before_commit",
    "history.before_record", "jobs.after_elements_made", "jobs.after_ends_settled", "jobs.before_hold_told", "jobs.before_priority_told",
    "jobs.before_release_told", "jobs.before_stop_sent", "jobs.before_stop_told", "ledger.after_checkpoint", "ledger.before_checkpoint",
    "pool.after_rank_release", "pool.before_gang_release", "runs.before_close", "runs.before_open", "server.after_ledger_made",
    "server.after_token_file")
# These are no part of what keeps jobs: the tests that sweep them.
SWEPT_ELSEWHERE = {"checkpoint": "src/train/training_crash_test.cpp", "etl": "tests/etl/etl_failure_test.cpp",
                   "object": "tests/etl/etl_failure_test.cpp", "workflow": "tests/e2e/workflow_recovery_test.py",
                   "register": "tests/e2e/workflow_recovery_test.py", "server": "tests/e2e/stand_in_test.py"}
# Only reached once so many bytes were shipped that the warden gives disk space back.
NEEDS_MUCH_OUTPUT = ("warden.before_shipped_mark", "warden.after_shipped_mark")


def failpoints(*programs):
    """Every failpoint that the product itself lists, of these programs or all."""
    listing = subprocess.run([BIN / "trainyard-warden"], env=dict(os.environ, TRAINYARD_FAILPOINTS="list"), capture_output=True,
                             text=True, check=True, timeout=20).stdout.split()
    if not programs:
        return listing
    return [name for name in listing if PROGRAM_OF.get(name.split(".")[0]) in programs and name not in CONTROL_FAILPOINTS]


def numbered_lines(much=False):
    """A rank that writes numbered lines, and an event with each, slowly enough to be interrupted; its child outlives nothing."""
    write = ('i=0; while [ $i -lt %d ]; do i=$((i+1)); echo line $i; '
             'echo "{\\"event\\":\\"progress\\",\\"done\\":$i,\\"total\\":%d}" >&3; '
             '[ $((i%%7)) = 0 ] && sleep 0.02; done; true' % (LINES, LINES))
    if much:
        # It lives until its warden has noted what was shipped, however slow the machine is.
        write = ("seq -f 'line %0100.0f' 1 90000; rank=$TRAINYARD_JOB_ID.$TRAINYARD_ATTEMPT.0; "
                 "mark=${TRAINYARD_WORKDIR%%/work/*}/spool/$rank.shipped.json; i=0; "
                 "while [ ! -e $mark ] && [ $i -lt 400 ]; do i=$((i+1)); sleep 0.05; done; seq -f 'line %.0f' 90001 90020")
    return ["sh", "-c", "setsid sleep 7213 >/dev/null 2>&1 3>&- & " + write]


def processes_below(directory):
    """Pids of rank processes, grandchildren too, whose working directory was given out by the node that keeps its data there."""
    marker = f"TRAINYARD_WORKDIR={directory}/work/".encode()
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if marker in (entry / "environ").read_bytes() and process_alive(int(entry.name)):
                    found.append(int(entry.name))
    return found


class Cluster:
    """A server with its own agent, or with an agent in a process of its own; each may be killed and started again. `victim` is the
    program that is to die at `failpoint`, once."""

    def __init__(self, separate=False, victim="", failpoint="", options=()):
        self.separate = separate
        self.agent = None
        self.marks_directory = tempfile.TemporaryDirectory(prefix="trainyard-mark-")  # Goes with this object at the latest.
        self.marks = self.marks_directory.name
        self.environment = {"TRAINYARD_FAILPOINT_MARK": self.marks + "/died"}
        self.victim = victim
        on_node = victim in ("agent", "warden")
        self.server = Server(*(["server"] if separate else []), *options, failpoints="" if separate and on_node else failpoint,
                             environment=self.environment)
        self.died_at_start = os.path.exists(self.marks + "/died")
        self.node = self.server.root / "node" if separate else self.server.data
        if separate:
            self.start_agent(failpoint if on_node else "")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in ("agent", "server"):
            self.kill(program)
        # An agent that died while it replaced its warden may have left two.
        while warden := warden_of(self.node):
            os.kill(warden, signal.SIGKILL)
            wait_until(lambda pid=warden: not process_alive(pid), what="the end of the warden")
        for pid in processes_below(self.node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.server.close()
        self.marks_directory.cleanup()

    def start_agent(self, failpoint=""):
        self.agent = subprocess.Popen(
            [BIN / "trainyard-agent", "--join", self.server.url, "--token-file", self.server.ready["token_file"], "--data", self.node,
             "--node", "other"], stdout=subprocess.DEVNULL, stderr=self.server.log,
            env=dict(os.environ, TRAINYARD_FAILPOINTS=failpoint, **self.environment))

    def process(self, program):
        return self.agent if program == "agent" else self.server.process

    def alive(self, program):
        return self.process(program) is None or self.process(program).poll() is None

    def kill(self, program):
        if process := self.process(program):
            process.kill()
            process.wait()

    def revive(self):
        """Starts again what is dead, with no failpoint armed."""
        if not self.alive("server"):
            self.server.restart()
        if not self.alive("agent"):
            self.start_agent()

    def fired(self):
        """The failpoint was hit. A process leaves its mark right before it dies."""
        if not os.path.exists(self.marks + "/died"):
            return False
        if self.victim in ("server", "agent"):
            victim = "agent" if self.separate and self.victim == "agent" else "server"
            # A server that died before it served was started again by the harness.
            wait_until(lambda: not self.alive(victim) or self.died_at_start, what="the death of the " + victim)
        return True

    def settled(self, jobs):
        """These jobs ended, and their node has forgotten all of them."""
        return all(self.state(job) == "SUCCEEDED" for job in jobs) and not any(self.node.glob("spool/*"))

    def submit(self, key, **fields):
        """The job of this key, none when the server dies before it answers. A key makes one job, however often it is tried."""
        fields = {"resources": {"cpu": "100m"}, "retry": {"backoff_base": "10ms"}, **fields}
        try:
            # No node is known right after a start: then a gang is refused.
            return wait_until(lambda: self.try_submit(key, fields), timeout=20, what="an answer to the submit")
        except OSError:
            return None

    def try_submit(self, key, fields):
        if not self.alive("agent"):
            raise ConnectionError("the agent is dead")
        status, job = self.server.call("POST", "/api/v1/jobs", fields, {"Idempotency-Key": key})
        if status == 409 and job["code"] == "spec.impossible_resources":
            return None
        if status != 201:
            raise AssertionError(f"submit answered {status}: {job}")
        return job["id"]

    def state(self, job):
        try:
            return self.server.call("GET", f"/api/v1/jobs/{job}", timeout=5)[1]["state"]
        except (OSError, http.client.HTTPException):
            return "UNKNOWN"


class CrashTest(unittest.TestCase):
    def check_job(self, cluster, job, attempts_max=1, ranks=1, lines=LINES):
        """The job succeeded, in its first attempt unless its warden died, and every rank's log holds each line once and in order."""
        ended = cluster.server.wait(job)
        self.assertEqual(ended["state"], "SUCCEEDED", ended["reason"])
        self.assertLessEqual(ended["attempt"], attempts_max, f"job {job} was started again: {ended['retries']}")
        for attempt in range(1, ended["attempt"] + 1):
            for rank in range(ranks):
                words = cluster.server.logs(job, attempt=attempt, rank=rank).splitlines()
                numbers = [int(word.removeprefix("line ")) for word in words]
                self.assertEqual(numbers, list(range(1, len(numbers) + 1)), f"log of job {job}, attempt {attempt}, rank {rank}")
                if attempt == ended["attempt"]:
                    self.assertEqual(len(numbers), lines, f"lines of job {job}, attempt {attempt}, rank {rank}")
        if lines == LINES:
            self.assertEqual(ended["progress"]["done"], LINES, f"events of job {job}")

    def check_nothing_left(self, cluster):
        wait_until(lambda: not processes_below(cluster.node), timeout=10, what="the end of every rank and its children")

    @contextlib.contextmanager
    def chance(self):
        """Choices that can be repeated: a failure names the seed."""
        seed = int(os.environ.get("TRAINYARD_SEED", random.SystemRandom().randrange(1 << 32)))
        try:
            yield random.Random(seed)
        except BaseException as error:
            raise AssertionError(f"seed {seed}: repeat the choices with TRAINYARD_SEED={seed} {self.id()}: {error}") from error


class FailpointListTest(unittest.TestCase):
    def test_every_failpoint_of_the_product_is_placed_and_swept(self):
        placed = set()
        for path in SOURCES.rglob("*.cpp"):
            if not path.name.endswith("_test.cpp"):
                placed.update(re.findall(r'(?:FAILPOINT|hit_failpoint)\("([a-z_.]+)"\)', path.read_text()))
        listed = failpoints()
        self.assertEqual(sorted(placed), listed)
        for name in listed:
            known = PROGRAM_OF.keys() | SWEPT_ELSEWHERE.keys()
            self.assertTrue(name in CONTROL_FAILPOINTS or name.split(".")[0] in known, f"nobody sweeps {name}: say here who hits it")
        self.assertEqual(set(CONTROL_FAILPOINTS) - set(listed), set(), "swept, but no longer there")
        explained = set(re.findall(r"`([a-z]+\.[a-z_]+)`", (SOURCES.parent / "docs/reliability.md").read_text().split("## Failpoints")[1]))
        self.assertEqual(sorted(explained), listed, "docs/reliability.md says what each failpoint puts at stake")
        for program in ("server", "agent", "warden"):
            self.assertTrue(failpoints(program), f"the sweep of the {program} would be empty")


class SweepTest(CrashTest):
    """Without tests of its own."""

    # At a stall the other threads go on for a while before the process dies: what was said too early gets out.
    DEATHS = [f"exit@{hit}" for hit in ((1, 2, 3, 4, 5, 6, 8, 10, 14, 20) if LONG else (1, 3))]
    DEATHS += [f"stall@{hit}" for hit in ((1, 2, 3, 4, 5, 7) if LONG else (1,))]
    # One rank, a gang, and one that comes while the others run. As (key, tasks).
    JOBS = (("one", 1), ("gang", 2), ("late", 1))

    def submit_all(self, cluster, much):
        """The jobs that were acknowledged, by key."""
        jobs = {}
        for key, tasks in (("much", 1),) if much else self.JOBS:
            job = cluster.submit(key, command=numbered_lines(much), tasks=tasks)
            if job is None:
                break
            jobs[key] = job
        return jobs

    def sweep_one(self, name, death, separate, others=(), options=()):
        """Dies at the failpoint in this way, together with `others`. True when it was reached."""
        victim = PROGRAM_OF.get(name.split(".")[0], "server")
        much = name in NEEDS_MUCH_OUTPUT
        with Cluster(separate, victim, f"{name}={death}", options) as cluster:
            acknowledged = self.submit_all(cluster, much)
            wait_until(lambda: cluster.fired() or cluster.settled(acknowledged.values()), timeout=30, what="the failpoint or the end")
            with contextlib.suppress(AssertionError):
                wait_until(cluster.fired, timeout=0.3)  # A process that stalls has not left its mark yet.
            reached = cluster.fired()
            for program in others:
                cluster.kill(program)
            cluster.revive()
            jobs = self.submit_all(cluster, much)
            self.assertEqual({**jobs, **acknowledged}, jobs, "an acknowledged job is another one now")
            for key, job in jobs.items():
                self.check_job(cluster, job, attempts_max=2 if victim == "warden" else 1, ranks=dict(self.JOBS).get(key, 1),
                               lines=90020 if much else LINES)
            self.check_nothing_left(cluster)
            return reached

    def sweep(self, names, separate, others=()):
        cases = [(name, death) for name in names for death in self.DEATHS]
        # Most of a case is waiting: a few of them go on at once, each on a directory of its own.
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            results = [pool.submit(self.sweep_one, *case, separate, others) for case in cases]
        for (name, death), result in zip(cases, results):
            with self.subTest(failpoint=name, death=death, separate=separate, others=others):
                self.assertTrue(result.result() or not death.endswith("@1"), f"{name} was never reached")


class FailpointSweepTest(SweepTest):
    def test_server_with_its_own_agent_dies_at_every_failpoint(self):
        self.sweep(failpoints("server", "agent"), separate=False)

    def test_server_alone_dies_at_every_failpoint(self):
        self.sweep(failpoints("server"), separate=True)

    def test_agent_alone_dies_at_every_failpoint(self):
        self.sweep(failpoints("agent"), separate=True)

    def test_agent_dies_at_every_failpoint_and_the_server_with_it(self):
        self.sweep(failpoints("agent"), separate=True, others=("server",))

    def test_server_dies_at_every_failpoint_and_the_agent_with_it(self):
        self.sweep(failpoints("server"), separate=True, others=("agent",))

    def test_warden_of_a_server_dies_at_every_failpoint(self):
        self.sweep(failpoints("warden"), separate=False)

    def test_warden_of_an_agent_dies_at_every_failpoint(self):
        self.sweep(failpoints("warden"), separate=True)

    def test_warden_dies_at_every_failpoint_and_server_and_agent_with_it(self):
        self.sweep(failpoints("warden"), separate=True, others=("agent", "server"))


class RandomKillTest(CrashTest):
    def kill_at_random(self, separate, rounds, victims, attempts_max=1):
        """Each round kills some of `victims` at a random time while jobs are submitted and run."""
        self.kills = 0
        with self.chance() as chance, Cluster(separate) as cluster:
            acknowledged = {}
            for number in range(rounds):
                chosen = chance.choice(victims)
                killer = threading.Timer(chance.uniform(0.0, 0.15), lambda: [self.kill(cluster, program) for program in chosen])
                killer.start()
                for i in range(2):
                    key = f"{number}-{i}"
                    job = cluster.submit(key, command=numbered_lines(), tasks=1 + i, retry={"backoff_base": "10ms", "node_lost": 1000})
                    if job is None:
                        break
                    acknowledged[key] = job
                killer.join()
                cluster.revive()
            print(f"{self.kills} kills, {len(acknowledged)} jobs acknowledged", flush=True)
            self.assertGreater(self.kills, rounds * 3 // 4, "too few kills found their process")
            self.assertGreater(len(acknowledged), rounds // 4, "too few submits came between the kills")
            self.assertEqual(len(set(acknowledged.values())), len(acknowledged))
            for key, job in acknowledged.items():
                self.check_job(cluster, job, attempts_max, ranks=1 + int(key[-1]))
            self.check_nothing_left(cluster)

    def kill(self, cluster, program):
        if program != "warden":
            self.kills += cluster.process(program) is not None and cluster.alive(program)
            return cluster.kill(program)
        if pid := warden_of(cluster.node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.kills += 1

    def test_hundred_kills_of_a_server_with_its_own_agent_lose_nothing(self):
        self.kill_at_random(False, 1000 if LONG else 100, [("server",)])

    def test_hundred_kills_of_agent_server_and_both_lose_nothing(self):
        self.kill_at_random(True, 1000 if LONG else 100, [("agent",), ("server",), ("agent", "server"), ("server", "agent")])

    def test_kills_of_wardens_too_cost_attempts_and_no_job(self):
        self.kill_at_random(True, 200 if LONG else 20, [("warden",), ("warden", "server"), ("agent", "warden"), ("server",)], 1000)


class RunningRankTest(CrashTest):
    COMMAND = ["sh", "-c", "setsid sleep 7214 >/dev/null 2>&1 3>&- & echo $$; i=0; "
               "while [ $i -lt 30 ]; do i=$((i+1)); echo line $i; sleep 0.05; done"]

    def check_untouched(self, separate, victims):
        with Cluster(separate) as cluster:
            job = cluster.submit("job", command=self.COMMAND, tasks=2)
            wait_until(lambda: all(cluster.server.logs(job, rank=rank) for rank in (0, 1)), what="output of both ranks")
            pids = [int(cluster.server.logs(job, rank=rank).split()[0]) for rank in (0, 1)]
            for program in victims:
                cluster.kill(program)
            self.assertTrue(all(process_alive(pid) for pid in pids))
            cluster.revive()
            wait_until(lambda: cluster.state(job) == "RUNNING", what="the adoption")
            self.assertTrue(all(process_alive(pid) for pid in pids))
            ended = cluster.server.wait(job)
            self.assertEqual((ended["state"], ended["attempt"]), ("SUCCEEDED", 1), ended["reason"])
            for rank in (0, 1):
                self.assertEqual(cluster.server.logs(job, rank=rank).splitlines(), [str(pids[rank])] + [f"line {i}" for i in range(1, 31)])
            self.check_nothing_left(cluster)

    def test_killed_server_with_its_own_agent_leaves_running_ranks_alone(self):
        self.check_untouched(False, ["server"])

    def test_killed_agent_leaves_running_ranks_alone(self):
        self.check_untouched(True, ["agent"])

    def test_killed_server_leaves_running_ranks_alone(self):
        self.check_untouched(True, ["server"])

    def test_killed_server_and_agent_leave_running_ranks_alone(self):
        self.check_untouched(True, ["server", "agent"])

    def test_killed_warden_takes_ranks_and_their_children_along_and_the_job_is_tried_again(self):
        for separate in (False, True):
            with self.subTest(separate=separate), Cluster(separate) as cluster:
                script = numbered_lines()[2] + "; [ $TRAINYARD_ATTEMPT = 2 ] || sleep 600"
                job = cluster.submit("waits", command=["sh", "-c", script], tasks=2)
                wait_until(lambda: all(f"line {LINES}" in cluster.server.logs(job, rank=rank) for rank in (0, 1)), what="all lines")
                before = processes_below(cluster.node)
                self.assertGreaterEqual(len(before), 4, "two ranks with a child each")
                os.kill(warden_of(cluster.node), signal.SIGKILL)
                wait_until(lambda: not any(process_alive(pid) for pid in before), timeout=5, what="the end of ranks and children")
                self.check_job(cluster, job, attempts_max=2, ranks=2)
                ended = cluster.server.job(job)
                self.assertEqual((ended["attempt"], ended["retries"]["node_lost"]), (2, 1))
                self.check_nothing_left(cluster)


if __name__ == "__main__":
    unittest.main(verbosity=2)
