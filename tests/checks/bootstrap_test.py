"""tools/bootstrap --only engines, on a lock of its own and a wheel made here, without any network."""
import hashlib
import os
import shutil
import subprocess
import unittest
import zipfile

from planted_tree import PlantedTree, ROOT

WHEEL = "pyarrow-1.0-py3-none-any.whl"


class BootstrapTest(PlantedTree):
    def setUp(self):
        super().setUp()
        os.makedirs(os.path.join(self.root, "tools"))
        for name in ("bootstrap", "unpack_wheel.py", "packages.txt"):
            shutil.copy(os.path.join(ROOT, "tools", name), os.path.join(self.root, "tools", name))
        self.make_wheel()
        with open(os.path.join(self.root, "index", WHEEL), "rb") as file:
            self.plant_lock(hashlib.sha256(file.read()).hexdigest())

    def make_wheel(self):
        os.makedirs(os.path.join(self.root, "index"))
        with zipfile.ZipFile(os.path.join(self.root, "index", WHEEL), "w") as wheel:
            wheel.writestr("pyarrow/include/arrow/api.h", "// header\n")
            wheel.writestr("pyarrow/libarrow.so.1", "library\n")
            wheel.writestr("pyarrow/lib.cpython-311-x86_64-linux-gnu.so", "not needed\n")
            wheel.writestr("pyarrow-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: pyarrow\nVersion: 1.0\n")
            wheel.writestr("pyarrow-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr("pyarrow-1.0.dist-info/RECORD", "")

    def plant_lock(self, sha256):
        self.plant("tools/dependencies.lock", f"# comment\narrow pyarrow 1.0 {WHEEL} {sha256}\n")

    def run_bootstrap(self, index="index"):
        environment = dict(os.environ, XDG_CACHE_HOME=os.path.join(self.root, "cache"), PIP_NO_INDEX="1",
                           PIP_FIND_LINKS=os.path.join(self.root, index), TRAINYARD_DEPS_DIR=os.path.join(self.root, ".deps"))
        return subprocess.run(["bash", os.path.join(self.root, "tools/bootstrap"), "--only", "engines"], env=environment,
                              capture_output=True, text=True, check=False)

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))

    def test_wheel_is_fetched_once_and_its_needed_parts_unpacked(self):
        first = self.run_bootstrap()
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertIn("pyarrow 1.0: downloading", first.stdout)
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

    def test_damaged_cache_is_fetched_again(self):
        self.plant("cache/trainyard/wheels/" + WHEEL, "damaged")
        done = self.run_bootstrap()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.exists(".deps/arrow/pyarrow/libarrow.so.1"))

    def test_wheel_with_another_checksum_is_refused(self):
        self.plant_lock("0" * 64)
        done = self.run_bootstrap()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("could not download pyarrow 1.0", done.stderr)
        self.assertFalse(self.exists(".deps/arrow"))


if __name__ == "__main__":
    unittest.main()
