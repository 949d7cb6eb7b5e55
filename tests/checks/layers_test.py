"""Each rule of tools/checks/layers.py, proven by a planted violation."""
import unittest

from planted_tree import PlantedTree
import layers

TABLE = """
0 base
1 domain
2 store
2 sched +pure
3 jobs store sched
3 sim store +testing
6 api/platform jobs
6 adapters/sqlite store
7 apps *
headers sqlite3.h : adapters/sqlite
headers nlohmann/ : base api
"""


class LayersTest(PlantedTree):
    def setUp(self):
        super().setUp()
        self.plant("tools/layers.txt", TABLE)
        for path in ("base/a.h", "domain/d.h", "store/s.h", "store/internal/i.h", "store/testing/fake.h", "sched/p.h", "jobs/j.h",
                     "api/platform/r.h", "adapters/sqlite/q.h", "apps/server/main.h"):
            self.plant("src/" + path, "#pragma once\n")

    def check_file(self, path, text):
        self.plant(path, text)
        return layers.check(self.root)

    def test_tree_with_downward_edges_is_accepted(self):
        self.plant("src/jobs/j.cpp", '#include "base/a.h"\n#include "domain/d.h"\n#include "store/s.h"\n#include "jobs/j.h"\n')
        self.plant("src/apps/server/main.cpp", '#include "adapters/sqlite/q.h"\n#include "api/platform/r.h"\n')
        self.plant("src/adapters/sqlite/q.cpp", "#include <sqlite3.h>\n")
        self.plant("src/sim/s.cpp", '#include "store/testing/fake.h"\n')
        self.plant("src/jobs/j_test.cpp", '#include "store/testing/fake.h"\n#include "adapters/sqlite/q.h"\n')
        self.assertEqual(layers.check(self.root), [])

    def test_edge_up_is_refused(self):
        self.assert_one(self.check_file("src/store/s.cpp", '#include "jobs/j.h"\n'), "src/store/s.cpp:1", "store may not include jobs")

    def test_edge_down_that_is_not_declared_is_refused(self):
        self.assert_one(self.check_file("src/sim/x.cpp", '#include "sched/p.h"\n'), "sim may not include sched")

    def test_base_including_domain_is_refused(self):
        self.assert_one(self.check_file("src/base/a.cpp", '#include "domain/d.h"\n'), "base may not include domain")

    def test_service_including_adapter_is_refused(self):
        self.assert_one(self.check_file("src/jobs/j.cpp", '#include "adapters/sqlite/q.h"\n'), "jobs may not include adapters/sqlite")

    def test_service_including_api_is_refused_even_in_its_tests(self):
        self.assert_one(self.check_file("src/jobs/j_test.cpp", '#include "api/platform/r.h"\n'), "jobs may not include api/platform")

    def test_api_including_adapter_is_refused(self):
        self.assert_one(self.check_file("src/api/platform/r.cpp", '#include "adapters/sqlite/q.h"\n'), "may not include adapters/sqlite")

    def test_internal_header_of_another_library_is_refused(self):
        self.assert_one(self.check_file("src/jobs/j.cpp", '#include "store/internal/i.h"\n'), "internal headers")

    def test_fake_in_production_code_is_refused(self):
        self.assert_one(self.check_file("src/jobs/j.cpp", '#include "store/testing/fake.h"\n'), "fakes are for tests")

    def test_clock_thread_and_executor_in_a_pure_library_are_refused(self):
        self.plant("src/base/executor.h", "#pragma once\n")
        for text in ("#include <thread>\n", "void f(Clock& clock);\n",
                     "auto t = std::chrono::steady_clock::now();\n", '#include "base/executor.h"\n'):
            self.assert_one(self.check_file("src/sched/p.cpp", text), "sched, which is pure")
        self.assertEqual(self.check_file("src/sched/p.cpp", "// A Clock in a comment is fine.\n"), [])

    def test_foreign_header_outside_its_adapter_is_refused(self):
        self.assert_one(self.check_file("src/store/s.cpp", "#include <sqlite3.h>\n"), "only adapters/sqlite may")

    def test_heavy_header_in_a_header_is_refused(self):
        self.assert_one(self.check_file("src/base/b.h", "#pragma once\n#include <nlohmann/json.hpp>\n"), "in a header")

    def test_include_that_does_not_exist_is_refused(self):
        self.assert_one(self.check_file("src/jobs/j.cpp", '#include "j.h"\n'), "not below src/")

    def test_folder_that_is_no_library_is_refused(self):
        self.assert_one(self.check_file("src/misc/m.cpp", "int m;\n"), "no library")

    def test_dependency_that_the_build_declares_beyond_the_table_is_refused(self):
        self.plant("src/CMakeLists.txt", "lib(store DEPS base domain)\n"
                   "lib(jobs DEPS base sched store LIBS x::y TEST_DEPS adapters/sqlite)\n")
        self.assertEqual(layers.check(self.root), [])
        self.assert_one(self.check_file("src/CMakeLists.txt", "lib(store DEPS base\n    sched)\n"), "lib(store) has sched")
        self.assert_one(self.check_file("src/CMakeLists.txt", "lib(stray DEPS base)\n"), "lib(stray) is not in")

    def test_table_with_an_edge_up_is_refused(self):
        _, problems = layers.parse_table("0 base\n2 store jobs\n3 jobs store\n")
        self.assert_one(problems, "store (level 2) may include jobs (level 3)")

    def test_table_that_lets_a_service_use_an_adapter_is_refused(self):
        _, problems = layers.parse_table("2 adapters/sqlite\n3 jobs adapters/sqlite\n")
        self.assert_one(problems, "only apps and tests include adapters")


if __name__ == "__main__":
    unittest.main()
