"""tools/checks/build_time.py and tools/compile-timer, proven by planted units."""
import json
import os
import subprocess
import unittest

from planted_tree import PlantedTree, ROOT
import build_time

RATCHET = build_time.Ratchet("unit src/torch.cpp 40  # torch headers\nsum 60\nreference src/reference.cpp 4\n")


class BuildTimeTest(PlantedTree):
    def problems(self, **seconds):
        return build_time.problems_in({f"src/{name}.cpp": taken for name, taken in seconds.items()}, RATCHET)

    def run_timer(self, command, timings):
        environment = dict(os.environ, TRAINYARD_TIMINGS=timings)
        timer = os.path.join(ROOT, "tools/compile-timer")
        return subprocess.run([timer, *command], cwd=self.root, check=False, capture_output=True, env=environment)

    def test_units_within_their_allowances_are_accepted(self):
        self.assertEqual(list(self.problems(torch=39.0, a=7.9)), [])

    def test_unlisted_unit_over_the_limit_is_refused(self):
        self.assert_one(self.problems(a=8.1), "src/a.cpp", "8.1 user s")

    def test_unity_unit_may_take_twice_as_long(self):
        self.assertEqual(list(build_time.problems_in({"generated/a.dir/Unity/unity_0_cxx.cxx.o": 15.9}, RATCHET)), [])
        self.assert_one(build_time.problems_in({"generated/a.dir/Unity/unity_0_cxx.cxx.o": 16.1}, RATCHET), "16.1 user s")

    def test_listed_unit_over_its_allowance_is_refused(self):
        self.assert_one(self.problems(torch=41.0), "src/torch.cpp", "allowance is 40")

    def test_unit_that_was_never_measured_is_refused(self):
        self.assert_one(self.problems(a=None), "never measured")

    def test_sum_over_its_allowance_is_refused(self):
        self.assert_one(self.problems(**{f"u{i}": 7.0 for i in range(9)}), "63 user s")

    def test_slow_machine_stretches_every_allowance_and_a_fast_one_none(self):
        self.assertEqual(list(self.problems(reference=8.0, a=15.9, torch=79.0)), [])
        self.assert_one(self.problems(reference=8.0, a=16.1), "src/a.cpp")
        self.assert_one(self.problems(reference=2.0, a=8.1), "src/a.cpp")

    def test_timer_records_a_unit_under_the_name_the_check_looks_for(self):
        source, timings = os.path.join(ROOT, "cmake/empty_main.cpp"), os.path.join(self.root, "timings")
        command = ["c++", "-c", source, "-o", "o/main.o"]
        os.makedirs(os.path.join(self.root, "o"))
        self.run_timer(command, timings).check_returncode()
        entry = {"directory": self.root, "file": source, "command": " ".join(command)}
        self.plant("compile_commands.json", json.dumps([entry]))
        units = build_time.built_units(ROOT, self.root)
        self.assertEqual(list(units), ["cmake/empty_main.cpp"])
        self.assertIsNotNone(build_time.seconds_of(timings, "cmake/empty_main.cpp"))

    def test_timer_passes_a_failure_on_and_records_nothing(self):
        self.plant("bad.cpp", "int f( {\n")
        timings = os.path.join(self.root, "timings")
        done = self.run_timer(["c++", "-c", "bad.cpp", "-o", "bad.o"], timings)
        self.assertNotEqual(done.returncode, 0)
        self.assertFalse(os.path.exists(timings))


if __name__ == "__main__":
    unittest.main()
