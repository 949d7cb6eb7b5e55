"""tools/checks/headers.py finds a header that leans on its includer, and remembers those that passed."""
import os
import unittest

from planted_tree import PlantedTree
import headers


class HeadersTest(PlantedTree):
    def check(self):
        return headers.check(self.root, os.path.join(self.root, "build"))

    def test_header_that_lacks_an_include_is_refused(self):
        self.plant("src/store/s.h", "#pragma once\nstd::string f();\n")
        violations, _, _ = self.check()
        self.assert_one(violations, "src/store/s.h", "does not stand alone")

    def test_header_without_a_guard_is_refused(self):
        self.plant("src/store/s.h", "struct A {};\n")
        self.assert_one(self.check()[0], "redefinition")

    def test_header_that_its_own_unit_includes_first_is_left_to_the_build(self):
        self.plant("src/store/s.h", "#pragma once\nstd::string f();\n")
        self.plant("src/store/s.cpp", '// Says something.\n#include "store/s.h"\n')
        self.assertEqual(self.check(), ([], 0, 0))
        self.plant("src/store/s.cpp", '#include <string>\n\n#include "store/s.h"\n')
        self.assert_one(self.check()[0], "does not stand alone")

    def test_header_that_passed_is_compiled_again_only_when_it_or_what_it_includes_changed(self):
        self.plant("src/base/a.h", "#pragma once\n#include <string>\n")
        self.plant("src/store/s.h", '#pragma once\n#include "base/a.h"\nstd::string f();\n')
        self.assertEqual(self.check(), ([], 2, 2))
        self.assertEqual(self.check(), ([], 0, 2))
        self.plant("src/base/a.h", "#pragma once\n")
        violations, compiled, _ = self.check()
        self.assertEqual(compiled, 2)
        self.assert_one(violations, "src/store/s.h")


if __name__ == "__main__":
    unittest.main()
