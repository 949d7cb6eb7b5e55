"""`trainyard demo` on a tiny pipeline: what it prints, how it ends, what it leaves behind and how it goes on."""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

from harness import BIN, wait_until
from processes import processes_of
from tiny_data import tiny_pipeline, write_tiny_dataset

CLI = str(BIN / "trainyard")
STEPS = ["ingest", "curate", "train", "gate", "register", "deploy", "predict"]
LONG = {"steps": 5_000_000}  # Trains until it is stopped.


def segments():
    """Names of the shared memory of gangs on this machine."""
    return {name for name in os.listdir("/dev/shm") if re.fullmatch(r"trainyard-\d+-\d+-[0-9a-f]{16}", name)}


class DemoCase(unittest.TestCase):
    """A directory for each test, in which nothing may be left but what the test itself put there."""

    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="trainyard-demo-test-"))
        self.addCleanup(self.remove_root)
        self.tmp = self.root / "tmp"
        self.tmp.mkdir()
        write_tiny_dataset(self.root / "tiny")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAINYARD_")}
        self.environment.update(TMPDIR=str(self.tmp), HOME=str(self.root), TERM="xterm")
        self.shared = segments()

    def remove_root(self):
        self.assert_no_process_of(self.root)  # It could still write into the directory.
        shutil.rmtree(self.root)

    def pipeline(self, **changes):
        return tiny_pipeline(self.root / "tiny", **changes)

    def words(self, *options, **changes):
        return [CLI, "demo", "--pipeline", str(self.pipeline(**changes)), *map(str, options)]

    def demo(self, *options, timeout=60, **changes):
        return subprocess.run(self.words(*options, **changes), capture_output=True, text=True, timeout=timeout, env=self.environment)

    def start(self, *options, **changes):
        demo = subprocess.Popen(self.words(*options, **changes), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env=self.environment, start_new_session=True)
        self.addCleanup(self.end, demo)
        return demo

    @staticmethod
    def end(demo):
        if demo.poll() is None:
            demo.kill()
        demo.communicate()

    def wait_for_line(self, demo, text, timeout=30):
        """Reads the output of the demo until a line contains `text`; returns what was read."""
        seen = ""
        deadline = time.monotonic() + timeout
        while text not in seen:
            ready, _, _ = select.select([demo.stdout], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(demo.stdout.fileno(), 4096).decode() if ready else ""
            self.assertTrue(piece, f"{text!r} did not come; the output was:\n{seen}")
            seen += piece
        return seen

    def assert_nothing_left(self, timeout=30):
        """No process, temporary file, socket or shared memory of the demo."""
        wait_until(lambda: not processes_of(self.tmp), timeout=timeout, what="the end of every process of the demo")
        wait_until(lambda: not list(self.tmp.iterdir()), timeout=timeout, what=f"an empty {self.tmp}")
        self.assertEqual(segments() - self.shared, set())
        self.assertNotIn(str(self.root), pathlib.Path("/proc/net/unix").read_text())

    def assert_no_process_of(self, directory, timeout=30):
        wait_until(lambda: not processes_of(directory), timeout=timeout, what="the end of every process of the demo")


class WholeDemoTest(DemoCase):
    def test_every_step_holds_and_table_and_summary_say_so(self):
        done = self.demo("--summary-out", self.root / "summary.json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        summary = json.loads((self.root / "summary.json").read_text())
        self.assertTrue(summary["ok"])
        self.assertEqual([step["name"] for step in summary["steps"]], STEPS)
        self.assertTrue(all(step["ok"] and step["seconds"] >= 0 for step in summary["steps"]))
        self.assertGreater(summary["test_accuracy"], 0.9)
        self.assertGreater(summary["seconds"], sum(step["seconds"] for step in summary["steps"]) * 0.9)
        self.assertEqual(summary["steps"][0]["figures"]["in"], 500)
        table = done.stdout[done.stdout.index("STEP"):]
        for step in STEPS:
            self.assertRegex(table, rf"(?m)^{step} +SUCCEEDED +\d+\.\d +\d+%")
        self.assertRegex(table, r"(?m)^total +SUCCEEDED +\d+\.\d")
        self.assertRegex(done.stdout, r"SUCCEEDED in \d+\.\d s: test accuracy [\d.]+; predict: accuracy [\d.]+, p50 [\d.]+ ms, "
                                      r"p99 [\d.]+ ms, [\d.e+]+ images/s")
        for command in ("curl -s", "mlflow runs list", "workflow get 1", "model get tiny"):
            self.assertIn(command, done.stdout)
        self.assertNotIn("\x1b", done.stdout + done.stderr)
        self.assertNotIn("\r", done.stdout)
        self.assert_nothing_left()

    def test_failed_gate_is_named_with_what_why_and_exit_code_1(self):
        done = self.demo("--summary-out", self.root / "summary.json", steps=1, at_least=1.5)
        self.assertEqual(done.returncode, 1, done.stdout)
        summary = json.loads((self.root / "summary.json").read_text())
        self.assertFalse(summary["ok"])
        self.assertIn("gate", summary["reason"])
        steps = {step["name"]: step for step in summary["steps"]}
        self.assertTrue(steps["train"]["ok"])
        self.assertFalse(steps["gate"]["ok"])
        self.assertFalse(steps["deploy"]["ok"])
        self.assertIn("1.5", steps["gate"]["reason"])
        self.assertRegex(done.stdout, r"(?m)^gate +FAILED")
        self.assertRegex(done.stdout, r"(?m)^predict +UPSTREAM_FAILED")
        self.assertIn("demo.step_failed", done.stderr)
        self.assert_nothing_left()

    def test_failed_deploy_shows_the_end_of_its_log(self):
        done = self.demo("--summary-out", self.root / "summary.json", model_uri="ty://models/absent.onnx")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stdout, r"(?m)^deploy +FAILED")
        self.assertIn("the end of the log of job", done.stderr)
        self.assertIn("absent.onnx", done.stderr)
        self.assertIn("--data DIR", done.stderr)
        self.assertIn("deploy", json.loads((self.root / "summary.json").read_text())["reason"])
        self.assert_nothing_left()

    def test_failed_step_with_data_directory_names_where_the_log_is(self):
        (self.root / "tiny/t10k-labels-idx1-ubyte.gz").write_bytes(b"no gzip")
        done = self.demo("--data", self.root / "data")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stdout, r"(?m)^ingest +FAILED")
        self.assertIn("t10k-labels", done.stderr)
        place = re.search(r"the whole log: (\S+),", done.stderr).group(1)
        self.assertTrue(any(pathlib.Path(place).rglob("*")), place)

    def test_faulty_pipeline_is_refused_with_its_line(self):
        done = self.demo(replace={"  curate:\n": "  curate:\n    aftr: ingest\n"})
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"pipeline\.yaml:\d+:\d+")
        self.assertIn("aftr", done.stderr)
        self.assert_nothing_left()

    def test_absent_pipeline_is_refused_before_anything_starts(self):
        done = subprocess.run([CLI, "demo", "--pipeline", self.root / "absent.yaml", "--data", self.root / "data"],
                              capture_output=True, text=True, timeout=20, env=self.environment)
        self.assertEqual(done.returncode, 3)
        self.assertIn("absent.yaml", done.stderr)
        self.assertFalse((self.root / "data").exists())

    def test_server_that_cannot_start_is_an_error_with_its_words(self):
        first = self.start("--data", self.root / "data", **LONG)
        self.wait_for_line(first, "ingest")
        second = self.demo("--data", self.root / "data", timeout=30)
        self.assertEqual(second.returncode, 6, second.stdout)
        self.assertIn("data.locked", second.stderr)


class TerminalTest(DemoCase):
    """The live lines, on a terminal of 100 columns and 40 rows unless said otherwise."""

    def on_terminal(self, columns=100, rows=40, environment=None, **changes):
        words = self.words(**changes)
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                # The size has to be there before the demo looks.
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                os.execve(words[0], words, dict(self.environment, **(environment or {})))
            finally:
                os._exit(127)
        output = b""
        while True:
            try:
                piece = os.read(terminal, 65536)
            except OSError:
                break
            if not piece:
                break
            output += piece
        os.close(terminal)
        status = os.waitpid(pid, 0)[1]
        self.assertEqual(os.waitstatus_to_exitcode(status), 0, output.decode())
        return output.decode().replace("\r\n", "\n")

    @staticmethod
    def screen(output):
        """What is on the screen at the end: the lines after all cursor movements. Understands what the demo uses, and nothing else."""
        lines, row = [""], 0
        for up, clear, color, letter in re.findall(r"\x1b\[(\d+)A|(\x1b\[2K)|(\x1b\[\d*m)|([^\x1b])", output):
            if up:
                row -= int(up)
            elif clear:
                lines[row] = ""
            elif letter == "\n":
                row += 1
                if row == len(lines):
                    lines.append("")
            elif letter:
                lines[row] += letter
        return lines

    def test_each_task_has_one_line_that_is_redrawn_in_place(self):
        output = self.on_terminal(steps=3000)
        lines = self.screen(output)
        block = lines[1:1 + len(STEPS)]
        self.assertEqual([line.split()[0] for line in block], STEPS)
        for line in block:
            self.assertRegex(line, r"^\w+ +SUCCEEDED +\d+\.\ds")
        self.assertTrue(all(len(line) < 100 for line in block))
        self.assertGreater(output.count("\x1b[7A"), 5)
        # Progress of the training while it ran: steps done of steps, and a percentage.
        self.assertRegex(re.sub(r"\x1b\[\d*[mK]", "", output), r"train +RUNNING +\d+\.\ds +\d+/3000 \(\d+%\)")
        self.assertIn("\x1b[32mSUCCEEDED\x1b[0m", output)

    def test_no_color_leaves_only_the_cursor_movements(self):
        output = self.on_terminal(environment={"NO_COLOR": "1"})
        self.assertNotRegex(output, r"\x1b\[\d*m")
        self.assertIn("\x1b[7A", output)

    def test_narrow_terminal_cuts_the_lines(self):
        lines = self.screen(self.on_terminal(columns=40))
        self.assertTrue(all(len(line) < 40 for line in lines[1:1 + len(STEPS)]), lines)
        self.assertEqual([line.split()[0] for line in lines[1:1 + len(STEPS)]], STEPS)

    def test_dumb_terminal_and_low_window_get_plain_lines(self):
        self.assertNotIn("\x1b", self.on_terminal(environment={"TERM": "dumb"}))
        self.assertNotRegex(self.on_terminal(rows=5), r"\x1b\[\d+A")


class EndTest(DemoCase):
    def check_signal(self, number, code):
        demo = self.start("--summary-out", self.root / "summary.json", **LONG)
        self.wait_for_line(demo, "train    RUNNING")
        demo.send_signal(number)
        output = demo.communicate(timeout=40)[0]
        self.assertEqual(demo.returncode, code, output)
        self.assertIn("nothing is left", output.splitlines()[-1])
        self.assert_nothing_left(timeout=5)
        summary = json.loads((self.root / "summary.json").read_text())
        self.assertFalse(summary["ok"])
        self.assertIn("interrupted", summary["reason"])

    def test_interrupt_ends_everything_in_order_with_130(self):
        self.check_signal(signal.SIGINT, 130)

    def test_sigterm_ends_everything_in_order_with_143(self):
        self.check_signal(signal.SIGTERM, 143)

    def test_interrupt_with_data_directory_says_how_to_go_on(self):
        demo = self.start("--data", self.root / "my data", **LONG)
        self.wait_for_line(demo, "train    RUNNING")
        demo.send_signal(signal.SIGINT)
        self.assertIn(f"demo --data '{self.root}/my data'", demo.communicate(timeout=40)[0].splitlines()[-1])
        self.assertTrue((self.root / "my data/ledger.db").exists())
        self.assert_no_process_of(self.root, timeout=5)

    def test_killed_demo_leaves_nothing_at_any_moment(self):
        for moment in (None, "server ready", "ingest   RUNNING", "train    RUNNING"):
            with self.subTest(moment=moment):
                demo = self.start(**LONG)
                if moment:
                    self.wait_for_line(demo, moment)
                demo.kill()
                demo.wait()
                self.assert_nothing_left()

    def test_killed_demo_leaves_no_shared_memory_of_a_gang_that_starts(self):
        gang = {"replace": {"  train:\n    after: curate\n    job:\n": "  train:\n    after: curate\n    job:\n      tasks: 2\n"}, **LONG}
        for delay in (0.1, 0.2, 0.3, 0.4, 0.6, None):
            with self.subTest(delay=delay):
                demo = self.start(**gang)
                self.wait_for_line(demo, "train    RUNNING")
                if delay is None:
                    # Both have found each other when the first step is counted.
                    wait_until(lambda: list(self.tmp.glob("*/checkpoints/*/*")), timeout=30, what="a checkpoint")
                else:
                    time.sleep(delay)
                demo.kill()
                demo.wait()
                self.assert_nothing_left()

    def test_killed_demo_whose_server_is_killed_too_leaves_nothing(self):
        demo = self.start(**LONG)
        self.wait_for_line(demo, "train    RUNNING")
        server = [pid for pid in processes_of(self.tmp) if b"trainyard-server" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
        self.assertEqual(len(server), 1)
        demo.kill()
        os.kill(server[0], signal.SIGKILL)
        demo.wait()
        self.assert_nothing_left()

    def test_server_that_dies_under_the_demo_fails_it(self):
        demo = self.start(**LONG)
        self.wait_for_line(demo, "train    RUNNING")
        for pid in processes_of(self.tmp):
            if b"trainyard-server" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        output = demo.communicate(timeout=60)[0]
        self.assertEqual(demo.returncode, 6, output)
        self.assertIn("demo.server_ended", output)
        self.assert_nothing_left()

    def test_killed_demo_with_data_directory_leaves_no_process_and_no_socket(self):
        demo = self.start("--data", self.root / "data", **LONG)
        self.wait_for_line(demo, "train    RUNNING")
        demo.kill()
        demo.wait()
        self.assert_no_process_of(self.root)
        self.assertEqual([path for path in (self.root / "data").rglob("*") if path.is_socket()], [])
        self.assertTrue((self.root / "data/ledger.db").exists())


class ResumeTest(DemoCase):
    def run_ids(self, output):
        return [int(number) for number in re.findall(r"(?m)^workflow tiny run (\d+)$", output)]

    def test_killed_demo_goes_on_where_it_was(self):
        data = self.root / "data"
        changes = {"steps": 30_000}
        demo = self.start("--data", data, **changes)
        self.wait_for_line(demo, "train    RUNNING")
        checkpoints = data / "checkpoints"
        wait_until(lambda: list(checkpoints.rglob("MANIFEST*")), timeout=30, what="a checkpoint")
        demo.kill()
        demo.wait()
        self.assert_no_process_of(self.root)
        done = self.demo("--data", data, "--resume", "--summary-out", self.root / "summary.json", timeout=120, **changes)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("run 1 is unfinished: it goes on", done.stdout)
        self.assertEqual(self.run_ids(done.stdout), [1])
        steps = {step["name"]: step for step in json.loads((self.root / "summary.json").read_text())["steps"]}
        self.assertGreater(steps["train"]["figures"]["resumed_from_step"], 0)

        again = self.demo("--data", data, **changes)
        self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
        self.assertIn("run 1 has finished, there is nothing left to do", again.stdout)
        self.assertIn("--fresh", again.stdout)
        self.assertEqual(self.run_ids(again.stdout), [1])

        fresh = self.demo("--data", data, "--fresh")
        self.assertEqual(fresh.returncode, 0, fresh.stdout + fresh.stderr)
        self.assertEqual(self.run_ids(fresh.stdout), [2])

    def test_fresh_ends_the_unfinished_run_first(self):
        data = self.root / "data"
        demo = self.start("--data", data, **LONG)
        self.wait_for_line(demo, "train    RUNNING")
        demo.kill()
        demo.wait()
        self.assert_no_process_of(self.root)
        done = self.demo("--data", data, "--fresh")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(self.run_ids(done.stdout), [2])

    def test_run_that_failed_is_followed_by_a_new_one(self):
        data = self.root / "data"
        self.assertEqual(self.demo("--data", data, at_least=1.5).returncode, 1)
        done = self.demo("--data", data)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("run 1 ended as FAILED: a new run starts", done.stdout)
        self.assertEqual(self.run_ids(done.stdout), [2])

    def test_resume_and_fresh_together_are_a_usage_error(self):
        for options in (["--resume", "--fresh", "--data", self.root / "data"], ["--resume"]):
            done = self.demo(*options)
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn("--resume", done.stderr)
            self.assertFalse((self.root / "data").exists())

    def test_foreign_directory_is_refused_untouched(self):
        foreign = self.root / "home"
        foreign.mkdir()
        (foreign / "letter.txt").write_text("dear")
        done = self.demo("--data", foreign)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("demo.foreign_directory", done.stderr)
        self.assertIn(str(foreign), done.stderr)
        self.assertEqual([path.name for path in foreign.iterdir()], ["letter.txt"])


class KeepTest(DemoCase):
    def printed_commands(self, output):
        return [line.strip() for line in output[output.index("Look further:"):].splitlines()[1:] if line.strip()]

    def test_kept_server_answers_the_printed_commands_and_down_ends_all(self):
        self.assertIsNotNone(shutil.which("curl"), "the printed commands need curl: run tools/bootstrap tests")
        done = self.demo("--keep")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotEqual(processes_of(self.tmp), [])
        commands = self.printed_commands(done.stdout)
        self.assertEqual(len([c for c in commands if c.startswith("curl")]), 2)
        self.assertTrue(commands[-1].endswith(" down"))
        for command in commands:
            if "mlflow" in command:
                continue  # Needs a Python package; the MLflow routes have a test of their own.
            ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, env=self.environment)
            self.assertEqual(ran.returncode, 0, command + "\n" + ran.stderr)
            if command.startswith("curl"):
                self.assertIn("tiny", json.dumps(json.loads(ran.stdout)))
            else:
                self.assertTrue(ran.stdout.strip(), command)
        self.assert_nothing_left()

    def test_kept_server_outlives_a_failed_pipeline_for_a_look(self):
        done = self.demo("--keep", at_least=1.5)
        self.assertEqual(done.returncode, 1, done.stdout)
        commands = self.printed_commands(done.stdout)
        shown = subprocess.run(["sh", "-c", next(c for c in commands if "workflow get" in c)], capture_output=True, text=True, timeout=30)
        self.assertIn("FAILED", shown.stdout)
        self.assertEqual(subprocess.run(["sh", "-c", commands[-1]], timeout=60, stdout=subprocess.DEVNULL).returncode, 0)
        self.assert_nothing_left()

    def test_demo_killed_before_its_end_keeps_nothing(self):
        demo = self.start("--keep", **LONG)
        self.wait_for_line(demo, "train    RUNNING")
        demo.kill()
        demo.wait()
        self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main(verbosity=2)
