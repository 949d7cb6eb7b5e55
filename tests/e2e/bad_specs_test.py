"""Job specs that people get wrong, each answered with where, why and what to write instead.

The files are in tests/data/bad_specs, and expected.txt beside them says for each: `FILE | LINE:COLUMN | POINTER | CODE | WORDS | ADVICE`.
LINE:COLUMN is what the command line names, POINTER what the API names in a JSON body; WORDS and ADVICE stand in both messages. A
pointer "-" means that the API names the place in the YAML text too. `bad_specs_test.py --show` prints what the server says of each.
"""

import pathlib
import sys
import unittest

from harness import Server, wait_until

CORPUS = pathlib.Path(__file__).parent.parent / "data/bad_specs"
LEAST = 60


class Case:
    """One line of the table."""

    def __init__(self, line):
        columns = [column.strip() for column in line.split(" | ")]
        if len(columns) != 6:
            raise ValueError(f"a line has six columns, split by ' | ': {line}")
        self.file, self.place, self.pointer, self.code, self.words, self.advice = columns
        self.texts = (self.words, self.advice)


def read_table():
    lines = (CORPUS / "expected.txt").read_text(encoding="utf-8").splitlines()
    return [Case(line) for line in lines if line.strip() and not line.startswith("#")]


def start():
    server = Server()
    # What can never fit is judged by the nodes that are there.
    wait_until(lambda: server.call("GET", "/api/v1/nodes")[1]["nodes"], what="the node")
    return server


def over_rest(server, file):
    """(status, problem) of the file as the body of a submit."""
    kind = "application/json" if file.suffix == ".json" else "application/yaml"
    return server.call("POST", f"/api/v1/jobs?file={file.name}", file.read_bytes(), {"Content-Type": kind})


def pointer_of(problem):
    return (problem.get("errors") or [{"pointer": "-"}])[0]["pointer"]


class BadSpecsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.table = read_table()
        cls.server = start()
        cls.addClassCleanup(cls.server.close)

    def test_corpus_and_table_are_of_the_same_files(self):
        files = sorted(path.name for path in CORPUS.iterdir() if path.suffix in (".yaml", ".json"))
        self.assertEqual(sorted(case.file for case in self.table), files)
        self.assertGreaterEqual(len(files), LEAST)
        self.assertEqual([case.file for case in self.table if "-" in (case.place, case.words, case.advice)], [],
                         "every fault has a place in its file, a reason and a way out")

    def test_api_answers_each_with_place_reason_and_advice(self):
        for case in self.table:
            with self.subTest(case.file):
                status, problem = over_rest(self.server, CORPUS / case.file)
                self.assertGreaterEqual(status, 400, problem)
                self.assertLess(status, 500, problem)
                pointer = case.pointer if case.pointer != "-" else f"{case.file}:{case.place}"
                self.assertEqual((problem["code"], pointer_of(problem)), (case.code, pointer), problem["detail"])
                for text in case.texts:
                    self.assertIn(text, problem["detail"])

    def test_command_line_answers_each_with_the_place_in_the_file(self):
        for case in self.table:
            with self.subTest(case.file):
                file = CORPUS / case.file
                done = self.server.cli("job", "submit", "-f", str(file))
                self.assertNotEqual(done.returncode, 0, done.stdout)
                self.assertTrue(done.stderr.startswith(f"error: {file}:{case.place}: "), done.stderr[:400])
                for text in (case.code, *case.texts):
                    self.assertIn(text, done.stderr)

    def test_nothing_of_it_became_a_job(self):
        self.assertEqual(self.server.call("GET", "/api/v1/jobs")[1]["jobs"], [])


def show():
    """Prints a line for the table, and the message, of every file."""
    with start() as server:
        for file in sorted(CORPUS.iterdir()):
            if file.suffix not in (".yaml", ".json"):
                continue
            status, problem = over_rest(server, file)
            said = server.cli("job", "submit", "-f", str(file)).stderr.split("\n")[0]
            place = ":".join(said.removeprefix(f"error: {file}:").split(":")[:2])
            pointer = pointer_of(problem) if status >= 400 else "ACCEPTED"
            shown = "-" if file.name in pointer else pointer
            print(f"{file.name} | {place} | {shown} | {problem.get('code')} | {problem.get('detail')}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--show"]:
        show()
    else:
        unittest.main()
