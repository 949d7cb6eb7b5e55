"""`trainyard simulate` as a user meets it: files in and out, pictures, progress, and what mistakes are answered with."""

import gzip
import json
import os
import pathlib
import pty
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

from harness import BIN

CLI = str(BIN / "trainyard")
DATA = pathlib.Path(__file__).parents[1] / "data/scheduling"
BATSIM = DATA / "batsim/batsim_medium_late.csv"
EXAMPLE = DATA / "examples/ex1_easy.trace.csv"


def simulate(*words, timeout=60):
    return subprocess.run([CLI, "simulate", *map(str, words)], capture_output=True, text=True, timeout=timeout)


class RunTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_batsim_schedule_is_the_same_through_both_drivers(self):
        schedules = []
        for driver in ("scheduler", "jobs"):
            schedule, summary = self.folder / f"{driver}.csv", self.folder / f"{driver}.json"
            done = simulate("--trace", BATSIM, "--hosts", 32, "--policy", "easy", "--driver", driver, "--schedule-out", schedule,
                            "--summary-out", summary)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("unknown columns are ignored: easy_start_s, easy_hosts", done.stderr)
            facts = json.loads(summary.read_text())
            self.assertEqual((facts["jobs"], facts["jobs_that_waited"]), (801, 182))
            self.assertAlmostEqual(facts["mean_wait_s"], 9.516326, places=6)
            schedules.append(schedule.read_text())
        self.assertEqual(*schedules)
        self.assertEqual(len(schedules[0].splitlines()), 802)

    def test_example_goes_to_stdout_alone_and_compressed_input_is_read(self):
        packed = self.folder / "trace.csv.gz"
        packed.write_bytes(gzip.compress(EXAMPLE.read_bytes()))
        for trace in (EXAMPLE, packed):
            done = simulate("--trace", trace, "--hosts", 3, "--policy", "easy", "--schedule-out", "-")
            self.assertEqual((done.returncode, done.stdout), (0, (DATA / "examples/ex1_easy.schedule.csv").read_text()), done.stderr)

    def test_pictures_are_well_formed_and_name_what_they_show(self):
        whole, curves = self.folder / "whole.svg", self.folder / "curves.svg"
        done = simulate("--trace", BATSIM, "--hosts", 32, "--policy", "easy", "--lose", "5@1500+600", "--svg", whole, "--svg-utilisation",
                        curves)
        self.assertEqual(done.returncode, 0, done.stderr)
        text = "".join(xml.etree.ElementTree.parse(whole).getroot().itertext())
        for part in ("801 jobs on 32 nodes", "time since the start of the trace (hours)", "processors in use (%)", "waiting jobs",
                     "node away"):
            self.assertIn(part, text)
        small = "".join(xml.etree.ElementTree.parse(curves).getroot().itertext())
        self.assertIn("waiting jobs", small)
        self.assertNotIn("node away", small)

    def test_list_of_policies_names_parameters_and_promises(self):
        done = simulate("--list-policies")
        self.assertEqual(done.returncode, 0)
        for part in ("backfill policies", "easy", "conservative", "drf", "--param", "promises:"):
            self.assertIn(part, done.stdout)

    def test_long_run_shows_progress_on_a_terminal_and_none_in_a_pipe(self):
        trace = self.folder / "long.csv"
        with open(trace, "w") as out:
            out.write("job_id,submit_s,runtime_s,procs\n")
            for number in range(150_000):
                out.write(f"{number},{number},{7 + number % 50},{1 + number % 7}\n")
        words = [CLI, "simulate", "--trace", str(trace), "--hosts", "150", "--policy", "easy"]
        self.assertNotIn("jobs ended", subprocess.run(words, capture_output=True, text=True, timeout=120).stderr)
        ours, theirs = pty.openpty()
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=theirs) as running:
            os.close(theirs)
            seen = b""
            while chunk := self.read(ours):
                seen += chunk
        os.close(ours)
        self.assertEqual(running.returncode, 0, seen)
        self.assertRegex(seen.decode(), r"\d+\.\d %  \d+ of 150000 jobs ended, day \d")

    @staticmethod
    def read(terminal):
        try:
            return os.read(terminal, 65536)
        except OSError:  # The other end is closed.
            return b""


class MistakeTest(unittest.TestCase):
    def check(self, code, words, *parts):
        done = simulate(*words)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertTrue(done.stderr.startswith("error: "), done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)

    def on_hosts(self, *words):
        return ["--trace", EXAMPLE, "--hosts", 3, "--policy", "easy", *words]

    def test_mistakes_on_the_command_line_end_with_2(self):
        cluster = ["--cluster", DATA / "none.csv"]
        for words, parts in [
                (["--hosts", 3, "--policy", "easy"], ["--trace FILE"]),
                (["--trace", EXAMPLE, "--hosts", 3], ["--policy NAME"]),
                (["--trace", EXAMPLE, "--policy", "easy"], ["--hosts N or --cluster"]),
                (self.on_hosts(*cluster), ["either --hosts N or --cluster"]),
                (["--trace", EXAMPLE, "--hosts", 0, "--policy", "easy"], ["--hosts"]),
                (["--trace", EXAMPLE, "--hosts", -1, "--policy", "easy"], ["hosts"]),
                (["--trace", EXAMPLE, "--hosts", 10 ** 9, "--policy", "easy"], ["hosts"]),
                (["--trace", EXAMPLE, "--hosts", "three", "--policy", "easy"], ["--hosts"]),
                (["--trace", EXAMPLE, "--hosts", 3, "--policy", "eazy"], ['did you mean "easy"?', "--list-policies"]),
                (["--trace", EXAMPLE, "--hosts", 3, "--policy", "easy+conservative"], ["already chosen"]),
                (self.on_hosts("--param", "k"), ["NAME=NUMBER"]),
                (self.on_hosts("--param", "k=nan"), ["NAME=NUMBER"]),
                (self.on_hosts("--param", "no_such=1"), ["no_such"]),
                (self.on_hosts("--lose", "7@1"), ["nodes count from 0 to 2"]),
                (self.on_hosts("--lose", "1"), ["there is no @"]),
                (self.on_hosts("--spot", "1@5"), ["there is no notice"]),
                (self.on_hosts("--mtbf", "-1"), ["--mtbf"]),
                (self.on_hosts("--users", "ann=0"), ["NAME=WEIGHT"]),
                (self.on_hosts("--estimate", "perfect"), ["user, exact or predicted"]),
                (self.on_hosts("--driver", "jobs", "--tiers"), ["driver of jobs", "tiers"]),
                (self.on_hosts("--polcy", "easy"), ["--policy"])]:
            with self.subTest(words=words):
                self.check(2, words, *parts)

    def test_missing_files_end_with_3_and_name_the_file(self):
        self.check(3, ["--trace", "/nonexistent/a.csv", "--hosts", 3, "--policy", "easy"], "/nonexistent/a.csv")
        self.check(3, ["--trace", EXAMPLE, "--cluster", "/nonexistent/c.csv", "--policy", "easy"], "/nonexistent/c.csv")

    def test_bad_files_end_with_1_and_name_line_and_reason(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            packed = gzip.compress(BATSIM.read_bytes())
            for file, content, parts in [
                    ("cut.csv.gz", packed[:len(packed) // 2], ["cut.csv.gz", "ends too early"]),
                    ("damaged.csv.gz", packed[:2000] + b"\0" * 50 + packed[2050:], ["damaged.csv.gz", "gunzip"]),
                    ("negative.csv", b"job_id,submit_s,runtime_s,procs\na,-1,1,1\n", ["negative.csv:2", "cannot be negative", "submit_s"]),
                    ("unsorted.csv", b"job_id,submit_s,runtime_s,procs\na,2,1,1\nb,1,1,1\n", ["unsorted.csv:3", "--sort"]),
                    ("empty.csv", b"", ["empty.csv:1", "no header"]),
                    ("cut.swf", b"1 2 3\n", ["cut.swf:1", "3 fields, not 18"])]:
                with self.subTest(file=file):
                    (folder / file).write_bytes(content)
                    self.check(1, ["--trace", folder / file, "--hosts", 3, "--policy", "easy"], *parts)
            self.check(1, ["--trace", folder, "--hosts", 3, "--policy", "easy"], "directory")

    def test_output_that_cannot_be_written_is_an_error_that_names_the_file(self):
        done = simulate(*self.on_hosts("--summary-out", "/nonexistent/folder/s.json"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/nonexistent/folder", done.stderr)
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
