"""The command line in a shell and on a terminal: completion, manual pages, colours, pipes, questions, `top`, configuration files."""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import time
import unittest

from harness import BIN, Server, wait_until

CLI = str(BIN / "trainyard")
ROOT = pathlib.Path(__file__).resolve().parents[2]
REFERENCE_MARK = "<!-- What follows is written by `trainyard help --markdown`. -->\n"


def clean_environment(**variables):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("TRAINYARD_", "XDG_")) and name not in ("NO_COLOR", "FORCE_COLOR")}
    return dict(environment, HOME="/nonexistent", PATH=f"{BIN}:{environment['PATH']}", **variables)


class Terminal:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, words, rows=30, columns=100, **variables):
        self.screen = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], list(map(str, words)), clean_environment(TERM="xterm-256color", **variables))
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.code = None

    def read(self, seconds=0.05):
        while select.select([self.master], [], [], seconds)[0]:
            try:
                piece = os.read(self.master, 65536)
            except OSError:
                return
            if not piece:
                return
            self.screen += piece

    def shows(self, text, timeout=20):
        wait_until(lambda: self.read() or text.encode() in self.screen, timeout, f"{text!r} on the screen")

    def keys(self, text):
        os.write(self.master, text.encode())

    def wait(self, timeout=20):
        def ended():
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            return pid
        if self.code is None:
            wait_until(ended, timeout, "the end of the program")
        return self.code

    def close(self):
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
        os.close(self.master)


class ShellTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--cpus", "4")
        cls.addClassCleanup(cls.server.close)
        cls.address = {"TRAINYARD_URL": cls.server.url, "TRAINYARD_TOKEN_FILE": str(cls.server.ready["token_file"])}
        cls.job = cls.server.submit("sh", "-c", "for i in 1 2 3; do echo line $i; done", name="counting", resources={"cpu": "100m"})
        cls.server.wait(cls.job)

    def run_cli(self, *words, **options):
        variables = options.pop("variables", {})
        return subprocess.run([CLI, *map(str, words)], capture_output=True, text=True, timeout=30,
                              env=clean_environment(**self.address, **variables), **options)

    def shell(self, script, shell="bash", **variables):
        return subprocess.run([shell, "-c", script], capture_output=True, text=True, timeout=30,
                              env=clean_environment(**self.address, **variables))

    def terminal(self, *words, **options):
        terminal = Terminal([CLI, *words], **options, **self.address)
        self.addCleanup(terminal.close)
        return terminal


class CompletionTest(ShellTest):
    BASH = """source <(trainyard completion bash)
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _trainyard; echo "${COMPREPLY[@]}"; }
"""

    def complete(self, *words):
        done = self.shell(self.BASH + "try trainyard " + " ".join(f"'{word}'" for word in words))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_bash_completes_commands_options_values_and_live_ids(self):
        self.assertEqual(self.complete("jo"), ["job"])
        self.assertIn("submit", self.complete("job", ""))
        self.assertEqual(self.complete("job", "ls", "--st"), ["--state"])
        self.assertEqual(self.complete("job", "ls", "-o", "nd"), ["ndjson"])
        self.assertEqual(self.complete("job", "ls", "--output", "=", "nd"), ["ndjson"])
        self.assertIn(self.job, self.complete("job", "get", ""))
        self.assertEqual(self.complete("job", "cancel", "@", "ru"), ["running"])
        self.assertIn("local", self.complete("node", "cordon", ""))
        self.assertIn("--port", self.complete("up", "--po"))
        self.assertEqual(self.complete("config", "explain", "tok"), ["token_file"])

    def test_bash_completes_files(self):
        with tempfile.TemporaryDirectory() as directory:
            (pathlib.Path(directory) / "train.yaml").touch()
            self.assertEqual(self.complete("job", "submit", "-f", f"{directory}/tr"), [f"{directory}/train.yaml"])

    def test_fish_and_zsh_complete_live_ids(self):
        for shell, script in (("fish", 'trainyard completion fish | source; complete -C "trainyard job get "'),
                              ("zsh", "autoload -U compinit; compinit -D; source <(trainyard completion zsh)\n"
                                      "_describe() { print -l -- $described }\n"
                                      "words=(trainyard job get ''); CURRENT=4; _trainyard")):
            if not shutil.which(shell):
                print(f"NOT RUN: {shell} is not installed")
                continue
            with self.subTest(shell=shell), tempfile.TemporaryDirectory() as home:
                words = [shell, "-f", "-c", script] if shell == "zsh" else [shell, "-c", script]
                done = subprocess.run(words, capture_output=True, text=True, timeout=30,
                                      env=dict(clean_environment(**self.address), HOME=home))
                self.assertRegex(done.stdout, rf"(?m)^{self.job}[\t:]counting SUCCEEDED$", done.stderr)

    def test_server_that_does_not_answer_costs_200_ms_and_no_word(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            begin = time.monotonic()
            done = subprocess.run([CLI, "__complete", "job", "get", ""], capture_output=True, text=True, timeout=20,
                                  env=clean_environment(TRAINYARD_URL=f"http://127.0.0.1:{silent.getsockname()[1]}"))
            elapsed = time.monotonic() - begin
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertLess(elapsed, 1.0, "200 ms, and time for a busy machine to start a program")


class PagesTest(unittest.TestCase):
    def test_every_command_has_a_page_that_roff_takes(self):
        with tempfile.TemporaryDirectory() as directory:
            done = subprocess.run([CLI, "man", directory], capture_output=True, text=True, timeout=30, env=clean_environment())
            self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
            pages = sorted(pathlib.Path(directory).iterdir())
            self.assertIn("trainyard-job-submit.1", [page.name for page in pages])
            for page in pages:
                text = page.read_text()
                if page.name.count("-") >= 2 or "EXAMPLES" in text:
                    self.assertIn(".SH EXIT STATUS", text, page.name)
            self.assertIn("\\-\\-port", (pathlib.Path(directory) / "trainyard-up.1").read_text())
            if not shutil.which("groff"):
                self.skipTest("groff is not installed")
            for page in pages:
                checked = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8", page], capture_output=True, text=True, timeout=30)
                self.assertEqual(checked.stderr, "", page.name)

    def test_guide_holds_the_reference_as_it_is(self):
        guide = (ROOT / "docs/guide/cli.md").read_text()
        done = subprocess.run([CLI, "help", "--markdown"], capture_output=True, text=True, timeout=30, env=clean_environment())
        self.assertEqual(guide.split(REFERENCE_MARK)[1], done.stdout,
                         "write it again: trainyard help --markdown, behind the mark in docs/guide/cli.md")


class OutputTest(ShellTest):
    def test_colours_follow_the_terminal_and_the_variables(self):
        self.assertNotIn("\x1b", self.run_cli("job", "ls").stdout)
        self.assertIn("\x1b[32mSUCCEEDED\x1b[0m", self.run_cli("job", "ls", variables={"FORCE_COLOR": "1"}).stdout)
        self.assertNotIn("\x1b", self.run_cli("job", "ls", variables={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stdout)
        self.assertNotIn("\x1b", self.run_cli("job", "ls", "-o", "json", variables={"FORCE_COLOR": "1"}).stdout)
        coloured = self.terminal("job", "ls")
        self.assertEqual(coloured.wait(), 0)
        self.assertIn(b"\x1b[32mSUCCEEDED\x1b[0m", coloured.screen)
        plain = self.terminal("job", "ls", NO_COLOR="1")
        self.assertEqual(plain.wait(), 0)
        self.assertNotIn(b"\x1b", plain.screen)

    def test_table_is_cut_to_the_terminal_unless_it_is_wide(self):
        self.server.submit("true", name="a-very-long-name-" * 5, resources={"cpu": "100m"})
        cut = self.terminal("job", "ls", columns=70, NO_COLOR="1")
        self.assertEqual(cut.wait(), 0)
        self.assertLessEqual(max(map(len, cut.screen.decode().splitlines())), 70)
        self.assertIn("…", cut.screen.decode())
        wide = self.terminal("job", "ls", "-o", "wide", columns=70, NO_COLOR="1")
        self.assertEqual(wide.wait(), 0)
        self.assertIn("a-very-long-name-" * 5, wide.screen.decode())

    def test_reader_that_leaves_early_ends_the_command_without_a_word(self):
        for words in ("job ls", "job ls -o json", f"job logs {self.job}", f"job logs -f {self.job}", "help --markdown", "top"):
            with self.subTest(words=words):
                done = self.shell(f"trainyard {words} | head -1")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(len(done.stdout.splitlines()), 1)
        followed = self.server.submit("sh", "-c", "while :; do echo x; sleep 0.01; done", resources={"cpu": "100m"})
        done = self.shell(f"trainyard job logs -f {followed} | head -3")
        self.assertEqual((done.stdout, done.stderr), ("x\n" * 3, ""))
        self.server.call("DELETE", f"/api/v1/jobs/{followed}")

    def test_output_that_cannot_be_written_is_a_failure_said_once(self):
        for words, code in (("job ls", 1), ("job ls -o json", 1), ("job ls -w", 1), (f"job get {self.job} -o yaml", 1), ("version", 1),
                            ("job --help", 1), ("help --markdown", 1), ("top", 1), ("doctor", 1), (f"job logs {self.job}", 125),
                            (f"job logs -f {self.job}", 125), (f"job wait {self.job}", 125),
                            ("job submit --follow --cpu 100m -- echo x", 125)):
            for stream in ("/dev/full", "&-"):
                with self.subTest(words=words, stream=stream):
                    done = self.shell(f"trainyard {words} >{stream}")
                    self.assertEqual((done.returncode, done.stderr.count("cli.output")), (code, 1), done.stderr)
                    self.assertIn("No space left on device" if stream == "/dev/full" else "Bad file descriptor", done.stderr)

    def test_lost_output_does_not_stop_what_is_done_to_several(self):
        jobs = [self.server.submit("true", hold=True, resources={"cpu": "100m"}) for _ in range(3)]
        done = self.shell(f"trainyard job release {' '.join(jobs)} > /dev/full")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        for job in jobs:
            self.assertEqual(self.server.wait(job)["state"], "SUCCEEDED")

    def test_data_goes_to_stdout_and_the_rest_to_stderr(self):
        empty = self.run_cli("job", "ls", "--limit", "1", "-o", "jsonpath=.nothing")
        self.assertEqual((empty.stdout, empty.stderr), ("", ""))
        waited = self.run_cli("job", "submit", "--wait", "--cpu", "100m", "--", "echo", "hello")
        self.assertEqual(waited.stdout, "")
        self.assertRegex(waited.stderr, r"^job \d+ SUCCEEDED: ")


class QuestionTest(ShellTest):
    def two_jobs(self):
        return [self.server.submit("sleep", "60", resources={"cpu": "100m"}) for _ in range(2)]

    def test_nothing_is_asked_off_a_terminal(self):
        jobs = self.two_jobs()
        for stdin in (subprocess.DEVNULL, subprocess.PIPE):
            done = self.run_cli("job", "cancel", *jobs, stdin=stdin)
            self.assertEqual(done.returncode, 2)
            self.assertIn("add --yes", done.stderr)
        closed = self.shell(f"trainyard job cancel {' '.join(jobs)} <&-")
        self.assertEqual(closed.returncode, 2, closed.stderr)
        self.assertEqual(self.run_cli("job", "cancel", *jobs, "--yes").returncode, 0)

    def test_question_on_a_terminal_is_answered_there(self):
        jobs = self.two_jobs()
        refused = self.terminal("job", "cancel", *jobs)
        refused.shows(f"cancel 2 jobs: {jobs[0]}, {jobs[1]}? [y/N]")
        refused.keys("n\n")
        self.assertEqual(refused.wait(), 130)
        self.assertNotIn(self.server.job(jobs[0])["state"], ("CANCELLED", "STOPPING"))
        silent = self.terminal("--no-input", "job", "cancel", *jobs)
        self.assertEqual(silent.wait(), 2)
        agreed = self.terminal("job", "cancel", *jobs)
        agreed.shows("[y/N]")
        agreed.keys("y\n")
        self.assertEqual(agreed.wait(), 0)
        for job in jobs:
            self.assertEqual(self.server.wait(job)["state"], "CANCELLED")


class TopTest(ShellTest):
    ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"

    def start(self):
        terminal = self.terminal("top", "--every", "200ms")
        terminal.shows("JOBS")
        terminal.shows("counting")
        self.assertIn(self.ENTER, terminal.screen)
        return terminal

    def check_restored(self, terminal):
        self.assertTrue(terminal.screen.rstrip().endswith(self.LEAVE), terminal.screen[-80:])
        self.assertIn(b"\x1b[?25h", terminal.screen)
        self.assertTrue(termios.tcgetattr(terminal.master)[3] & termios.ECHO)

    def test_it_shows_nodes_jobs_and_a_log_and_ends_with_q(self):
        terminal = self.start()
        terminal.shows("local")
        terminal.shows("line 3")
        terminal.keys("q")
        self.assertEqual(terminal.wait(), 0)
        self.check_restored(terminal)

    def test_terminal_is_given_back_on_signals(self):
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)):
            with self.subTest(signal=number):
                terminal = self.start()
                os.kill(terminal.pid, number)
                self.assertEqual(terminal.wait(), code)
                self.check_restored(terminal)

    def test_job_is_cancelled_after_a_question(self):
        job = self.server.submit("sleep", "60", name="victim", resources={"cpu": "100m"})
        terminal = self.start()
        terminal.shows("victim")
        terminal.keys("c")
        terminal.shows(f"cancel job {job}? y or n")
        terminal.keys("y")
        self.assertEqual(self.server.wait(job)["state"], "CANCELLED")
        terminal.keys("q")
        self.assertEqual(terminal.wait(), 0)

    def test_off_a_terminal_there_is_one_picture(self):
        done = self.run_cli("top")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("NODES (1)", done.stdout)
        self.assertNotIn("\x1b", done.stdout)


class ConfigurationTest(ShellTest):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="trainyard-config-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.home = self.directory / "home"
        (self.home / ".config/trainyard").mkdir(parents=True)
        self.user_file = self.home / ".config/trainyard/config.yaml"
        self.project = self.directory / "project"
        (self.project / "deep").mkdir(parents=True)

    def cli(self, *words, **variables):
        return subprocess.run([CLI, *map(str, words)], capture_output=True, text=True, timeout=30, cwd=self.project / "deep",
                              env=dict(clean_environment(**variables), HOME=str(self.home)))

    def test_files_name_server_and_token(self):
        self.user_file.write_text(f"url: {self.server.url}\ntoken_file: {self.server.ready['token_file']}\n")
        self.assertEqual(self.cli("job", "ls").returncode, 0)
        explained = json.loads(self.cli("config", "explain", "-o", "json").stdout)
        self.assertEqual(explained["url"]["layers"][0], {"from": "user", "value": self.server.url, "where": f"{self.user_file}:1:1"})
        self.assertEqual(explained["server"]["url"], self.server.url)
        over = json.loads(self.cli("config", "explain", "url", "-o", "json", TRAINYARD_URL="http://other:1").stdout)
        self.assertEqual([layer["from"] for layer in over["url"]["layers"]], ["environment", "user", "default"])

    def test_project_names_a_server_but_gets_no_token_for_it(self):
        (self.project / "trainyard.yaml").write_text(f"url: {self.server.url}\n")
        token = str(self.server.ready["token_file"])
        refused = self.cli("job", "ls", TRAINYARD_TOKEN_FILE=token)
        self.assertEqual(refused.returncode, 4, refused.stderr)
        self.user_file.write_text(f'tokens: {{"{self.server.url}": {token}}}\n')
        self.assertEqual(self.cli("job", "ls").returncode, 0)

    def test_fault_in_a_file_is_shown_with_its_line(self):
        (self.project / "trainyard.yaml").write_text("output: json\nulr: http://x\n")
        done = self.cli("job", "ls")
        self.assertEqual(done.returncode, 2)
        self.assertIn("trainyard.yaml:2:1: config.unknown_key", done.stderr)
        self.assertRegex(done.stderr, r"  2 \| ulr: http://x\n +\| \^~~\n")
        self.assertEqual(self.cli("version").returncode, 0, "what needs no server needs no configuration")

    def test_output_may_be_configured(self):
        self.user_file.write_text(f"url: {self.server.url}\ntoken_file: {self.server.ready['token_file']}\noutput: name\n")
        self.assertIn(f"job/{self.job}", self.cli("job", "ls").stdout.split())
        self.assertRegex(self.cli("job", "ls", "-o", "table").stdout, r"^ID +NAME")


del ShellTest

if __name__ == "__main__":
    unittest.main(verbosity=2)
