"""Each rule of tools/checks/tidy.py, proven by a planted violation."""
import subprocess
import unittest

from planted_tree import PlantedTree
import source
import tidy


def function_of(lines, head="int Store::f(int a) const"):
    return head + " {\n" + "  a += 1;\n" * (lines - 2) + "}\n"


class TidyTest(PlantedTree):
    def check_file(self, path, text):
        self.plant(path, text)
        return tidy.check(self.root)

    def test_clean_tree_is_accepted(self):
        self.plant("src/store/s.h", "#pragma once\nclass A {\n public:\n  virtual void f() = 0;\n};\n")
        self.assertEqual(self.check_file("src/store/s.cpp", function_of(70)), [])

    def test_function_over_its_limit_is_refused_in_every_form(self):
        heads = ["int f()", "Store::Store(int a) : a_(a), b_{a}", "auto Store::g() const noexcept -> std::vector<int>",
                 "bool operator==(const A& a, const A& b)", "TEST_F(StoreTest, thing_done_works)", "template <class T> void f(T t)"]
        for head in heads:
            text = "namespace n {\nnamespace {\n" + function_of(71, head) + "}\n}\n"
            self.assert_one(self.check_file("src/store/s.cpp", text), "function-lines 71")

    def test_function_inside_a_class_over_its_limit_is_refused(self):
        long_function = function_of(71, "void f() override")
        text = "class A final : public B {\n  int x_ = 0;\n  void small() { x_ = 1; }\n" + long_function + "  int y_{0};\n};\n"
        self.assert_one(self.check_file("src/store/s.cpp", text), "src/store/s.cpp:f (line 4): function-lines 71")

    def test_namespace_class_and_table_over_the_function_limit_are_fine(self):
        methods, numbers = "  int f(int a) { return a; }\n" * 100, "  1,\n" * 100
        text = "namespace n {\nclass A {\n" + methods + "};\nconst int k[] = {\n" + numbers + "};\n}\n"
        self.assertEqual(self.check_file("src/store/s.cpp", text), [])

    def test_braces_in_literals_and_comments_do_not_count(self):
        text = 'int f() {\n  // {\n  g("{", \'{\', R"x({{{)x", 1\'000);\n  return 0;\n}\nint h() { return 1; }\n'
        self.assertEqual([name for name, _, _ in tidy.functions(source.code_only(text))], ["f", "h"])

    def test_file_over_its_limit_is_refused(self):
        self.assert_one(self.check_file("src/store/s.cpp", "int a;\n" * 501), "file-lines 501")

    def test_line_over_its_limit_is_refused(self):
        self.assert_one(self.check_file("src/store/s.cpp", "int " + "a" * 137 + ";\n"), "142 characters")

    def test_port_with_nine_methods_is_refused(self):
        text = "#pragma once\nclass P {\n" + "".join(f"  virtual int f{i}(int a = 0) const = 0;\n" for i in range(9)) + "};\n"
        self.assert_one(self.check_file("src/store/p.h", text), "src/store/p.h:P", "port-methods 9")

    def test_members_that_start_at_zero_are_no_port_methods(self):
        text = "#pragma once\nclass P {\n" + "".join(f"  int a{i}_ = 0;\n" for i in range(9)) + "};\n"
        self.assertEqual(self.check_file("src/store/p.h", text), [])

    def test_banned_words_are_refused_with_their_replacement(self):
        for text, instead in [("int a = std::rand();", "Rng&"), ("auto t = std::chrono::system_clock::now();", "Clock&"),
                              ("std::this_thread::sleep_for(d);", "deadline"), ("usleep(5);", "deadline"), ("#include <format>", "fmt"),
                              ("thread.detach();", "jthread"), ("throw 1;", "Error"), ("assert(a);", "CHECK"),
                              ("using namespace std;", "name what"),
                              ("MOCK_METHOD(int, f, ());", "fake"), ("auto t = std::chrono::steady_clock::now();", "Clock&")]:
            self.assert_one(self.check_file("src/store/s.cpp", text + "\n"), instead)

    def test_words_that_only_look_banned_are_accepted(self):
        text = "static_assert(true);\nint operand(int a);\nawait.sleep_forever();\n// sleep_for would be wrong here\nauto s = \"throw\";\n"
        self.assertEqual(self.check_file("src/store/s.cpp", text), [])

    def test_clock_in_base_is_accepted(self):
        self.assertEqual(self.check_file("src/base/time.cpp", "auto t = std::chrono::system_clock::now();\n"), [])

    def test_shared_ptr_without_a_reason_is_refused(self):
        self.assert_one(self.check_file("src/store/s.cpp", "std::shared_ptr<A> a;\n"), "// shared:")
        self.assertEqual(self.check_file("src/store/s.cpp", "std::shared_ptr<A> a;  // shared: two owners\n"), [])

    def test_open_end_is_refused_in_code_and_documents(self):
        word = "TO" + "DO"
        self.assert_one(self.check_file("docs/a.md", f"{word}: write this\n"), word)

    def test_machine_path_is_refused(self):
        self.assert_one(self.check_file("docs/a.md", "cd /ro" + "ot/x\n"), "machine paths")
        self.assert_one(self.check_file("docs/a.md", "cd /wo" + "rk/main\n"), "machine paths")
        self.assertEqual(self.check_file("docs/a.md", "data/work/JOB/ATTEMPT and $HOME/x\n"), [])

    def test_registry_host_is_refused(self):
        self.assert_one(self.check_file("docs/a.md", "see pypi" + ".org\n"), "package")

    def test_number_of_a_request_is_refused(self):
        self.assert_one(self.check_file("src/store/s.cpp", "// Asked for in issue #12.\n"), "stand alone")

    def test_header_without_pragma_once_is_refused(self):
        self.assert_one(self.check_file("src/store/s.h", "int a;\n"), "#pragma once")

    def test_file_named_after_nothing_is_refused(self):
        self.assert_one(self.check_file("src/store/string_utils.cpp", "int a;\n"), "says nothing")

    def test_tab_and_trailing_blank_are_refused(self):
        self.assert_one(self.check_file("src/store/s.cpp", "int a; \n"), "blanks")
        self.assert_one(self.check_file("src/store/s.cpp", "\tint a;\n"), "tab")

    def test_blob_outside_test_data_is_refused(self):
        self.plant("tests/data/big.bin", "x" * 200_000)
        self.assertEqual(tidy.check(self.root), [])
        self.assert_one(self.check_file("docs/big.bin", "x" * 100_001), "docs/big.bin", "100001 bytes")

    def test_ratchet_excuses_exactly_what_it_lists(self):
        self.plant("src/store/s.cpp", function_of(80))
        self.plant(tidy.RATCHET, "function-lines src/store/s.cpp:Store::f 80\n")
        self.assertEqual(tidy.check(self.root), [])
        self.assert_one(self.check_file("src/store/s.cpp", function_of(81)), "it was 80 and may only shrink")
        self.assert_one(self.check_file("src/store/s.cpp", function_of(79)), "down to 79")
        self.assert_one(self.check_file("src/store/s.cpp", function_of(70)), "remove the line")

    def test_ratchet_that_grows_against_the_last_commit_is_refused(self):
        git = ["git", "-C", self.root, "-c", "user.name=t", "-c", "user.email=t@t"]
        self.plant("src/store/s.cpp", function_of(80))
        self.plant(tidy.RATCHET, "function-lines src/store/s.cpp:Store::f 80\n")
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
            subprocess.run(git + arguments, check=True)
        self.assertEqual(tidy.check(self.root), [])
        self.plant("src/store/s.cpp", function_of(90))
        self.plant(tidy.RATCHET, "function-lines src/store/s.cpp:Store::f 90\n")
        self.assert_one(tidy.check(self.root), "the ratchet may only shrink")


if __name__ == "__main__":
    unittest.main()
