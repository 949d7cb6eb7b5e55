"""The command line as a new user meets it: help, errors with a next step, exit codes, JSON, `doctor` and `down`."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from harness import BIN, Server, process_alive, wait_until

CLI = str(BIN / "trainyard")
NOUNS = {"job": ["submit", "ls", "get", "logs", "explain", "cancel", "retry", "wait", "hold", "release", "checkpoint", "preempt", "events",
                 "attempts", "priority"],
         "workflow": ["run", "ls", "get", "watch", "cancel"], "queue": ["ls", "get", "stop", "start"],
         "node": ["ls", "get", "cordon", "uncordon", "drain", "rm"], "pool": ["ls"],
         "user": ["ls", "create", "delete", "disable", "enable", "grant"],
         "token": ["ls", "create", "revoke", "join"], "run": ["ls", "get"], "model": ["ls", "get"], "dataset": ["ls", "get"],
         "config": ["explain"]}
PROGRAMS = ["up", "server", "agent", "simulate"]
VERBS = [*PROGRAMS, "demo", "down", "doctor", "ps", "apply", "what-if", "usage", "top", "whoami", "can-i", "help", "completion", "man",
         "version"]


def run(*words, home=None, timeout=30, **variables):
    """The CLI with a home of its own and none of this process's settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRAINYARD_", "XDG_"))}
    environment.update(HOME=home or "/nonexistent", **variables)
    return subprocess.run([CLI, *map(str, words)], capture_output=True, text=True, timeout=timeout, env=environment)


class HelpTest(unittest.TestCase):
    def test_every_verb_has_help_that_fits_and_shows_an_example(self):
        commands = [[verb] for verb in VERBS] + [[noun, verb] for noun, verbs in NOUNS.items() for verb in verbs]
        for command in commands:
            with self.subTest(command=" ".join(command)):
                done = run(*command, "--help")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("Usage: ", done.stdout)
                self.assertLessEqual(max(map(len, done.stdout.splitlines())), 130, done.stdout)
                if command[0] not in PROGRAMS:
                    self.assertRegex(done.stdout, r"Examples?:\n.*trainyard " + command[0])
                    self.assertIn("Exit codes: 0 ok", done.stdout)

    def test_help_lists_every_command(self):
        listed = re.findall(r"(?m)^  ([\w-]+) ", run("--help").stdout.split("Commands:")[1].split("Options of")[0])
        self.assertEqual(sorted(listed), sorted([*VERBS, *NOUNS]))
        for noun, verbs in NOUNS.items():
            listed = re.findall(r"(?m)^  ([\w-]+) ", run(noun, "--help").stdout.split("Commands:")[1])
            self.assertEqual(sorted(verbs), sorted(listed), noun)

    def test_help_comes_at_once(self):
        times = []
        for _ in range(20):
            begin = time.perf_counter()
            run("--help")
            times.append(time.perf_counter() - begin)
        self.assertLess(min(times), 0.05, "it is 2 ms on an idle machine")

    def test_help_word_and_version_option_work(self):
        self.assertEqual(run("help", "job", "ls").stdout, run("job", "ls", "--help").stdout)
        self.assertEqual(run("help", "up").stdout, run("up", "--help").stdout)
        self.assertEqual(run("--version").stdout, run("version").stdout)
        self.assertRegex(json.loads(run("version", "-o", "json").stdout)["version"], r"^\d+\.\d+\.\d+$")

    def test_flags_of_up_name_type_default_and_meaning(self):
        text = run("up", "--help").stdout
        self.assertRegex(text, r"--port 0\.\.65535 \[8470\] +\S")
        self.assertRegex(text, r"--lease TEXT \[15s\] +\S")
        self.assertIn("--datasets.synthetic-fallback", text)


class UsageErrorTest(unittest.TestCase):
    def check(self, words, *parts, code=2):
        done = run(*words)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        for part in parts:
            self.assertIn(part, done.stderr)

    def test_spec_file_without_its_flag_is_not_taken_for_a_program(self):
        self.check(["job", "submit", "job.yaml"], "job submit -f job.yaml")

    def test_wrong_words_suggest_the_right_ones(self):
        self.check(["jbo", "ls"], "did you mean `job`?", "trainyard --help")
        self.check(["job", "sbumit"], "did you mean `submit`?", "trainyard job --help")
        self.check(["demo", "--kep"], "did you mean `--keep`?")
        self.check(["up", "--prot", "1"], "did you mean `--port`?", "trainyard up --help")
        self.check(["job", "ls", "--limit"], "the option wants a value: --limit")
        self.check(["run", "get"], "an argument is missing: name", "trainyard run get --help")
        self.check(["job", "cancel"], "an argument is missing: job")
        self.check(["job"], "a command is missing, one of submit, ls")
        self.check([], "trainyard demo")

    def test_bytes_that_are_no_text_are_refused_before_they_become_others(self):
        self.check(["job", "submit", "--", "echo", "a\udcff"], "no UTF-8", "command: \"a\\xff\"", "trainyard job submit --help")
        self.check(["job", "submit", "--name", "\udcc3", "--", "true"], "no UTF-8", "--name: \"\\xc3\"")

    def test_values_out_of_range_are_refused(self):
        self.check(["up", "--port", "65536"], "--port", "between 0 and 65535")
        self.check(["up", "--lease", "soon"], "--lease", "soon")
        self.check(["up", "--cpus", "two"], "--cpus", "two")
        self.check(["job", "ls", "--limit", "0"], "--limit")
        self.check(["job", "logs", "7", "--tail", "1000001"], "--tail", "between 0 and 1000000")
        self.check(["apply"], "trainyard apply -f jobs.yaml", "trainyard apply --help")
        self.check(["-o", "xml", "version"], "table, wide, json, yaml")
        self.check(["job", "submit"], "trainyard job submit -- echo hello")
        self.check(["job", "cancel", "1-"], "cli.selector", "@running")
        self.check(["job", "ls", "--state", "sleeping"], "SUCCEEDED", "@live")

    def test_settings_file_is_checked_with_its_line(self):
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / "server.yaml"
            file.write_text("host: 127.0.0.1\nprot: 1\n")
            self.check(["up", "--config", file], "server.yaml:2:", "prot", "did you mean")
            self.check(["up", "--config", file.with_name("absent.yaml")], "absent.yaml")


class NoServerTest(unittest.TestCase):
    def test_no_server_is_said_with_what_to_do(self):
        for words in (["job", "ls"], ["job", "submit", "--", "true"], ["workflow", "ls"], ["model", "ls"], ["down"]):
            done = run(*words)
            self.assertEqual(done.returncode, 6, done.stderr)
            self.assertIn("client.no_server", done.stderr)
            self.assertIn("trainyard up", done.stderr)

    def test_server_that_does_not_answer_is_said_with_its_address(self):
        done = run("--url", "http://127.0.0.1:9", "job", "ls")
        self.assertEqual(done.returncode, 6)
        self.assertIn("127.0.0.1:9", done.stderr)

    def test_command_that_returns_a_jobs_code_uses_125_for_its_own_failure(self):
        self.assertEqual(run("job", "submit", "--wait", "--", "true").returncode, 125)

    def test_absent_workflow_file_is_said_before_the_server_is_looked_for(self):
        done = run("workflow", "run", "/nonexistent/w.yaml")
        self.assertEqual(done.returncode, 3)
        self.assertIn("/nonexistent/w.yaml", done.stderr)


class CommandsTest(unittest.TestCase):
    """One server for all: reading commands and small jobs."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--cpus", "4")
        cls.addClassCleanup(cls.server.close)
        wait_until(lambda: cls.server.call("GET", "/api/v1/nodes")[1]["nodes"], what="the node of the server")

    def cli(self, *words, **variables):
        return run("--url", self.server.url, "--token-file", self.server.ready["token_file"], *words, **variables)

    def test_job_round_trip_and_its_codes(self):
        submitted = self.cli("job", "submit", "-q", "--name", "hello", "--cpu", "100m", "--memory", "64MiB", "--",
                             "sh", "-c", "echo hi; exit 3")
        self.assertEqual(submitted.returncode, 0, submitted.stderr)
        job = submitted.stdout.strip()
        self.assertRegex(job, r"^\d+$")
        self.assertEqual(self.cli("job", "wait", job).returncode, 3)
        self.assertEqual(self.cli("job", "logs", job).stdout, "hi\n")
        shown = json.loads(self.cli("job", "get", job, "-o", "json").stdout)
        self.assertEqual((shown["name"], shown["state"]), ("hello", "FAILED"))
        self.assertIn(job, self.cli("job", "ls", "-q").stdout.split())
        self.assertRegex(self.cli("job", "ls").stdout, rf"(?m)^{job} +hello +command +FAILED")
        followed = self.cli("job", "submit", "--follow", "--cpu", "100m", "--", "sh", "-c", "echo out; echo err >&2")
        self.assertEqual((followed.returncode, followed.stdout, followed.stderr), (0, "out\n", "err\n"))

    def test_cancelled_job_is_stopped(self):
        job = self.cli("job", "submit", "-q", "--cpu", "100m", "--", "sleep", "60").stdout.strip()
        self.assertEqual(self.cli("job", "cancel", job).returncode, 0)
        self.assertEqual(self.server.wait(job)["state"], "CANCELLED")

    def test_every_list_is_a_table_json_and_yaml(self):
        for noun in ("job", "workflow", "run", "model", "dataset", "node"):
            with self.subTest(noun=noun):
                table = self.cli(noun, "ls")
                self.assertEqual(table.returncode, 0, table.stderr)
                self.assertTrue(table.stdout or table.stderr == "there are none yet\n")
                body = json.loads(self.cli(noun, "ls", "-o", "json").stdout)
                self.assertIsInstance(body[noun + "s"], list)
                self.assertIn(noun + "s:", self.cli("-o", "yaml", noun, "ls").stdout)

    def test_formats_for_programs(self):
        job = self.cli("job", "submit", "-q", "--cpu", "100m", "--", "true").stdout.strip()
        self.server.wait(job)
        self.assertIn(f"job/{job}", self.cli("job", "ls", "-o", "name").stdout.split())
        self.assertEqual(self.cli("job", "get", job, "-o", "jsonpath=.spec.command[0]").stdout, "true\n")
        self.assertEqual(self.cli("job", "get", job, "-o", "jsonpath=.no.such[3]").stdout, "")
        for line in self.cli("job", "ls", "-o", "ndjson").stdout.splitlines():
            self.assertIn("state", json.loads(line))
        self.assertEqual(self.cli("job", "ls", TRAINYARD_OUTPUT="name").stdout, self.cli("job", "ls", "-o", "name").stdout)

    def test_spec_of_a_job_can_be_submitted_again(self):
        job = self.cli("job", "submit", "-q", "--cpu", "100m", "--name", "again", "--", "sh", "-c", "echo $TRAINYARD_JOB_ID").stdout.strip()
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / "again.yaml"
            file.write_text(self.cli("job", "get", job, "--spec").stdout)
            done = self.cli("job", "submit", "-q", "-f", file)
            self.assertEqual(done.returncode, 0, done.stderr)
        shown = json.loads(self.cli("job", "get", done.stdout.strip(), "-o", "json").stdout)
        self.assertEqual(shown["name"], "again")

    def test_several_jobs_are_named_at_once(self):
        jobs = [self.cli("job", "submit", "-q", "--cpu", "100m", "--", "sleep", "60").stdout.strip() for _ in range(3)]
        selector = f"{jobs[0]}-{jobs[2]}"
        refused = self.cli("job", "cancel", selector)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--yes", refused.stderr)
        shown = self.cli("job", "cancel", selector, "--dry-run")
        self.assertEqual((shown.returncode, len(shown.stdout.splitlines())), (0, 3), shown.stderr)
        self.assertNotIn("CANCEL", shown.stdout)
        done = self.cli("job", "cancel", selector, "--yes", "-o", "name")
        self.assertEqual(done.stdout.splitlines(), [f"job/{job}" for job in jobs], done.stderr)
        waited = self.cli("job", "wait", ",".join(jobs), "-q")
        self.assertEqual(waited.stdout.split(), jobs)
        self.assertEqual(waited.returncode, 143)
        mixed = self.cli("job", "wait", jobs[0], "999999")
        self.assertEqual((mixed.returncode, mixed.stdout.count("\n")), (143, 1), mixed.stderr)

    def test_unknown_things_are_exit_code_3_with_the_next_command(self):
        for words in (["job", "get", "999"], ["run", "get", "0" * 32], ["model", "get", "nobody"], ["dataset", "get", "nobody"],
                      ["workflow", "get", "999"]):
            done = self.cli(*words)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn(words[-1], done.stderr)

    def test_wrong_and_missing_tokens_are_exit_code_4(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("ty_pat_wrong\n")
            file.flush()
            done = run("--url", self.server.url, "--token-file", file.name, "job", "ls")
        self.assertEqual(done.returncode, 4)
        self.assertIn("token", done.stderr)
        self.assertEqual(run("--url", self.server.url, "job", "ls").returncode, 4)
        self.assertEqual(run("--url", self.server.url, "--token-file", "/nonexistent/token", "job", "ls").returncode, 4)

    def test_environment_names_the_server(self):
        done = run("node", "ls", TRAINYARD_URL=self.server.url, TRAINYARD_TOKEN_FILE=self.server.ready["token_file"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("local", done.stdout)

    def test_faulty_workflow_is_refused_with_its_line(self):
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / "w.yaml"
            file.write_text("workflow: w\ntasks:\n  a:\n    job: {command: [\"true\"], tsaks: 2}\n")
            done = self.cli("workflow", "run", file)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr, r"w\.yaml:4:\d+")

    def test_workflow_is_run_to_its_end_with_plain_lines(self):
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / "w.yaml"
            file.write_text("workflow: w\ntasks:\n  a:\n    job: {command: [\"true\"], resources: {cpu: 100m}}\n"
                            "  b:\n    after: a\n    job: {command: [\"false\"], resources: {cpu: 100m}}\n")
            done = self.cli("workflow", "run", file)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertNotIn("\x1b", done.stdout)
            self.assertRegex(done.stdout, r"(?m)^a +SUCCEEDED")
            self.assertRegex(done.stdout, r"(?m)^b +FAILED")
            detached = self.cli("workflow", "run", "-d", "-q", file).stdout.strip()
            self.assertRegex(detached, r"^\d+$")
            self.assertIn("workflow w run " + detached, self.cli("workflow", "get", detached).stdout)

    def test_faulty_spec_is_shown_with_its_line_and_a_mark(self):
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / "job.yaml"
            file.write_text("name: x\ncommand: [\"true\"]\ntaskss: 2\n")
            done = self.cli("job", "submit", "-f", file)
            self.assertEqual(done.returncode, 2)
            lines = done.stderr.splitlines()
            self.assertTrue(lines[0].startswith(f"error: {file}:3:1: spec.unknown_key: "), lines[0])
            self.assertIn('did you mean "tasks"?', lines[0])
            self.assertEqual(lines[1:3], ["  3 | taskss: 2", "    | ^~~~~~"])
            self.assertRegex(done.stderr, r"(?m)^  request: \S+$")
            waiting = self.cli("job", "submit", "--wait", "-f", file)
            self.assertEqual(waiting.returncode, 125)
        option = self.cli("job", "submit", "--cpu", "10x", "--", "true")
        self.assertTrue(option.stderr.startswith("error: --cpu: spec.cpu: "), option.stderr)

    def test_events_and_explanation_of_an_ended_job(self):
        job = self.cli("job", "submit", "-q", "--cpu", "100m", "--", "false").stdout.strip()
        self.server.wait(job)
        types = [json.loads(line)["type"] for line in self.cli("job", "events", job, "-o", "ndjson").stdout.splitlines()]
        self.assertEqual((types[0], types[-1]), ("submitted", "failed"))
        followed = self.cli("job", "events", "-f", job, "-o", "ndjson")
        self.assertEqual([json.loads(line)["type"] for line in followed.stdout.splitlines()], types)
        self.assertIn("FAILED", self.cli("job", "explain", job).stdout)

    def test_output_into_a_closed_pipe_ends_quietly(self):
        done = subprocess.run(["sh", "-c", f"'{CLI}' --help | true"], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.stderr, "")


class DoctorTest(unittest.TestCase):
    def checks(self, done):
        return {check["name"]: check for check in json.loads(done.stdout)["checks"]}

    def test_machine_in_order_has_no_failures(self):
        with Server() as server:
            words = ["--url", server.url, "--token-file", server.ready["token_file"], "doctor", "--data", server.data]
            done = run(*words)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertRegex(done.stdout, r"server +ok +answers and knows 1 nodes")
            self.assertRegex(done.stdout.splitlines()[-1], r"^\d+ ok, \d+ warnings, 0 failed$")
            checks = self.checks(run(*words, "-o", "json"))
            self.assertEqual(sorted(checks), ["clock", "data", "dataset", "disk", "libraries", "port", "programs", "server", "shm"])
            for name in ("programs", "libraries", "data", "disk", "clock", "server"):
                self.assertEqual(checks[name]["outcome"], "ok", checks[name])

    def test_each_failure_comes_with_a_fix(self):
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            (root / "bin").mkdir()
            shutil.copy(CLI, root / "bin/trainyard")
            (root / "token").write_text("ty_pat_wrong\n")
            environment = {"HOME": directory, "PATH": os.environ["PATH"], "TMPDIR": str(root / "absent")}
            done = subprocess.run([root / "bin/trainyard", "--url", "http://127.0.0.1:9", "--token-file", root / "token", "doctor",
                                   "--data", "/proc/trainyard", "-o", "json"], capture_output=True, text=True, timeout=30, env=environment)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            checks = self.checks(done)
            for name in ("programs", "disk", "server"):
                self.assertEqual(checks[name]["outcome"], "failed", checks[name])
                self.assertTrue(checks[name]["fix"], name)
            self.assertIn("trainyard-server", checks["programs"]["text"])
            self.assertNotEqual(checks["data"]["outcome"], "ok", checks["data"])

    def test_wrong_token_is_told_apart_from_an_absent_server(self):
        with Server() as server, tempfile.NamedTemporaryFile("w") as token:
            token.write("ty_pat_wrong\n")
            token.flush()
            check = self.checks(run("--url", server.url, "--token-file", token.name, "doctor", "-o", "json"))["server"]
            self.assertEqual(check["outcome"], "failed")
            self.assertIn("--token-file", check["fix"])
        check = self.checks(run("doctor", "-o", "json"))["server"]
        self.assertEqual(check["outcome"], "warning")
        self.assertIn("trainyard up", check["fix"])


class UpDownTest(unittest.TestCase):
    def test_up_is_found_without_options_and_down_ends_its_jobs_too(self):
        home = tempfile.mkdtemp(prefix="trainyard-home-")
        self.addCleanup(shutil.rmtree, home, ignore_errors=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRAINYARD_", "XDG_"))}
        server = subprocess.Popen([CLI, "up", "--port", "0"], env=dict(environment, HOME=home), stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        wait_until(lambda: run("node", "ls", home=home).returncode == 0, what="the server")
        job = run("job", "submit", "-q", "--", "sh", "-c", "echo $$; exec sleep 300", home=home).stdout.strip()
        pid = int(wait_until(lambda: run("job", "logs", job, home=home).stdout, what="the job"))
        begin = time.monotonic()
        done = run("down", home=home, timeout=70)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("stopped: http://127.0.0.1:", done.stdout)
        self.assertFalse(process_alive(server.pid))
        self.assertFalse(process_alive(pid), f"the job lives on {time.monotonic() - begin:.1f} s after `down` began")
        self.assertEqual(run("down", home=home).returncode, 6)

    def test_settings_file_configures_up(self):
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / "server.yaml"
            file.write_text("node: yard\ncpus: 1500m\n")
            with Server("--config", file) as server:
                node = wait_until(lambda: server.call("GET", "/api/v1/nodes")[1]["nodes"], what="the node")[0]
                self.assertEqual(node["name"], "yard")
                self.assertEqual(float(node["cpu"]), 1.5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
