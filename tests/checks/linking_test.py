"""lib() in cmake/TrainyardTargets.cmake: a library that uses more than its DEPS declare does not link."""
import os
import shutil
import subprocess
import unittest

from planted_tree import PlantedTree, ROOT

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(planted LANGUAGES CXX)
set(TRAINYARD_BUILD_TESTS ON)
set(CMAKE_CXX_STANDARD 20)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(GTest REQUIRED)
include(cmake/TrainyardTargets.cmake)
lib(base)
lib(store DEPS base)
lib(honest DEPS base store)
lib(sly DEPS base)
lib(absent DEPS base)
lib(header_only DEPS absent)
"""
USES_STORE = '#include "store/s.h"\nnamespace NAME { int f() { return store::s(); } }\n'


class LinkingTest(PlantedTree):
    def setUp(self):
        super().setUp()
        shutil.copytree(os.path.join(ROOT, "cmake"), os.path.join(self.root, "cmake"))
        self.plant("CMakeLists.txt", PROJECT)
        self.plant("src/base/b.cpp", "namespace base { int b() { return 1; } }\n")
        self.plant("src/store/s.h", "#pragma once\nnamespace store { int s(); }\n")
        self.plant("src/store/s.cpp", '#include "store/s.h"\nnamespace base { int b(); }\nint store::s() { return base::b(); }\n')
        self.plant("src/honest/h.cpp", USES_STORE.replace("NAME", "honest"))
        self.plant("src/sly/h.cpp", USES_STORE.replace("NAME", "sly"))
        self.plant("src/header_only/h.h", "#pragma once\n")
        self.build = os.path.join(self.root, "build/release")
        configured = self.run_cmake("-G", "Ninja", "-S", self.root, "-B", self.build)
        self.assertEqual(configured.returncode, 0, configured.stderr)

    def run_cmake(self, *arguments):
        return subprocess.run(["cmake", *arguments], capture_output=True, text=True, check=False)

    def test_library_links_with_what_it_declares_and_not_without(self):
        honest = self.run_cmake("--build", self.build, "--target", "honest_link_test")
        self.assertEqual(honest.returncode, 0, honest.stdout + honest.stderr)
        sly = self.run_cmake("--build", self.build, "--target", "sly_link_test")
        self.assertNotEqual(sly.returncode, 0)
        self.assertIn("undefined", sly.stdout + sly.stderr)


if __name__ == "__main__":
    unittest.main()
