"""tools/bootstrap --only engines, on locks of its own and wheels made here, without any network."""
import hashlib
import os
import shutil
import subprocess
import unittest
import zipfile

from planted_tree import PlantedTree, ROOT

WHEEL = "pyarrow-1.0-py3-none-any.whl"
CLIENT_WHEEL = "mlflow_skinny-3.0-py3-none-any.whl"
OTHER_WHEEL = "other-2.0-py3-none-any.whl"


def metadata(name, version):
    return {f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{name}-{version}.dist-info/RECORD": ""}


class BootstrapTest(PlantedTree):
    def setUp(self):
        super().setUp()
        os.makedirs(os.path.join(self.root, "tools"))
        for name in ("bootstrap", "timed", "unpack_wheel.py", "packages.txt", "packages-test.txt", "packages-infra.txt"):
            shutil.copy(os.path.join(ROOT, "tools", name), os.path.join(self.root, "tools", name))
        os.makedirs(os.path.join(self.root, "index"))
        self.plant_lock(self.make_wheel(WHEEL, {"pyarrow/include/arrow/api.h": "// header\n",
                                                "pyarrow/libarrow.so.1": "library\n",
                                                "pyarrow/lib.cpython-311-x86_64-linux-gnu.so": "not needed\n",
                                                **metadata("pyarrow", "1.0")}))
        client = self.make_wheel(CLIENT_WHEEL, {"mlflow/__init__.py": "client = 3\n", **metadata("mlflow_skinny", "3.0")})
        other = self.make_wheel(OTHER_WHEEL, {"other.py": "other = 2\n", **metadata("other", "2.0")})
        self.plant("tools/dependencies-test.lock", f"mlflow3 mlflow-skinny 3.0 {CLIENT_WHEEL} {client}\n"
                                                   f"mlflow3 other 2.0 {OTHER_WHEEL} {other}\n"
                                                   f"mlflow2 other 2.0 {OTHER_WHEEL} {other}\n")

    def make_wheel(self, name, members):
        """The sha256 of a wheel with these members, put into the index."""
        path = os.path.join(self.root, "index", name)
        with zipfile.ZipFile(path, "w") as wheel:
            for member, text in members.items():
                wheel.writestr(member, text)
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def plant_lock(self, sha256):
        self.plant("tools/dependencies.lock", f"# comment\narrow pyarrow 1.0 {WHEEL} {sha256}\n")

    def run_tool(self, *command, index="index"):
        environment = dict(os.environ, XDG_CACHE_HOME=os.path.join(self.root, "cache"), PIP_NO_INDEX="1",
                           PIP_FIND_LINKS=os.path.join(self.root, index), TRAINYARD_DEPS_DIR=os.path.join(self.root, ".deps"))
        environment.pop("TRAINYARD_TIMES", None)
        return subprocess.run(["bash", *command], cwd=self.root, env=environment, capture_output=True, text=True, check=False)

    def run_bootstrap(self, *words, index="index"):
        return self.run_tool("tools/bootstrap", "--only", "engines", *words, index=index)

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))

    def test_wheel_is_fetched_once_and_its_needed_parts_unpacked(self):
        first = self.run_bootstrap()
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertIn("arrow: downloading pyarrow 1.0", first.stdout)
        self.assertIn("downloads: ", first.stdout)
        self.assertTrue(self.exists(".deps/arrow/pyarrow/include/arrow/api.h"))
        self.assertTrue(self.exists(".deps/arrow/pyarrow/libarrow.so.1"))
        self.assertFalse(self.exists(".deps/arrow/pyarrow/lib.cpython-311-x86_64-linux-gnu.so"))
        second = self.run_bootstrap(index="absent")
        self.assertIn("arrow: all there", second.stdout)
        shutil.rmtree(os.path.join(self.root, ".deps"))
        third = self.run_bootstrap(index="absent")
        self.assertEqual(third.returncode, 0, third.stderr)
        self.assertNotIn("downloading", third.stdout)

    def recorded_steps(self):
        with open(os.path.join(self.root, "build/times.txt"), encoding="utf-8") as file:
            return [line.split()[1] for line in file]

    def test_downloads_are_recorded_for_the_report_only_when_there_were_some(self):
        for steps in (["downloads", "bootstrap"], ["bootstrap"]):
            self.run_tool("tools/timed", "--start")
            done = self.run_tool("tools/timed", "bootstrap", "tools/bootstrap", "--only", "engines")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.recorded_steps(), steps)

    def test_report_tells_downloads_apart_and_does_not_count_them(self):
        self.plant("build/times.txt", "4.025 downloads\n5.500 bootstrap\n10.000 build\n")
        report = self.run_tool("tools/timed", "--report")
        self.assertEqual(report.stdout, "time: bootstrap 1.5 s, build 10.0 s; together 11.5 s, and 4.0 s of downloads\n")

    def test_damaged_cache_is_fetched_again(self):
        self.plant("cache/trainyard/wheels/" + WHEEL, "damaged")
        done = self.run_bootstrap()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.exists(".deps/arrow/pyarrow/libarrow.so.1"))

    def test_wheel_with_another_checksum_is_refused(self):
        self.plant_lock("0" * 64)
        done = self.run_bootstrap()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("could not download the packages of arrow", done.stderr)
        self.assertFalse(self.exists(".deps/arrow"))

    def test_environments_of_tests_are_whole_and_made_only_when_asked_for(self):
        lean = self.run_bootstrap()
        self.assertEqual(lean.returncode, 0, lean.stderr)
        self.assertFalse(self.exists(".deps/mlflow3"))
        first = self.run_bootstrap("tests")
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertIn("mlflow3: downloading mlflow-skinny 3.0, other 2.0", first.stdout)
        # A wheel of two environments is fetched once.
        self.assertNotIn("mlflow2: downloading", first.stdout)
        for path in ("mlflow3/mlflow/__init__.py", "mlflow3/other.py", "mlflow3/mlflow_skinny-3.0.dist-info/METADATA", "mlflow2/other.py"):
            self.assertTrue(self.exists(".deps/" + path), path)
        second = self.run_bootstrap("tests", index="absent")
        self.assertIn("mlflow3: all there", second.stdout)
        self.assertIn("mlflow2: all there", second.stdout)

    def test_changed_lock_replaces_the_whole_environment(self):
        self.run_bootstrap("tests")
        path = os.path.join(self.root, "tools/dependencies-test.lock")
        with open(path, encoding="utf-8") as file:
            lines = file.readlines()
        self.plant("tools/dependencies-test.lock", "".join(lines[:1] + lines[2:]))
        done = self.run_bootstrap("tests", index="absent")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.exists(".deps/mlflow3/mlflow/__init__.py"))
        self.assertFalse(self.exists(".deps/mlflow3/other.py"))

    def test_environment_with_one_wrong_wheel_is_not_there_at_all(self):
        self.make_wheel(OTHER_WHEEL, {"other.py": "tampered\n", **metadata("other", "2.0")})
        done = self.run_bootstrap("tests")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("could not download the packages of mlflow3", done.stderr)
        self.assertFalse(self.exists(".deps/mlflow3"))


if __name__ == "__main__":
    unittest.main()
