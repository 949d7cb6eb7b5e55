"""The served API document is the committed one, so that a change shows in a review. `make openapi` rewrites docs/openapi.json."""

import difflib
import json
import pathlib
import sys
import unittest

from harness import Server

LINE_LENGTH = 140
COMMITTED = pathlib.Path(__file__).parent.parent.parent / "docs/openapi.json"


def pretty(document):
    """The one form in which it is committed: the order of the server, and on one line what fits there."""
    return "\n".join(lines_of(document, "", 0)) + "\n"


def lines_of(node, before, depth):
    """The lines of a value whose first line begins with `before`."""
    compact = json.dumps(node, ensure_ascii=False)
    if depth > 0 and depth + len(before) + len(compact) <= LINE_LENGTH or not isinstance(node, (dict, list)) or not node:
        return [" " * depth + before + compact]
    opening, closing = ("{", "}") if isinstance(node, dict) else ("[", "]")
    lines = [" " * depth + before + opening]
    members = [(json.dumps(key, ensure_ascii=False) + ": ", value) for key, value in node.items()] if isinstance(node, dict) else [
        ("", value) for value in node]
    for index, (name, value) in enumerate(members):
        inner = lines_of(value, name, depth + 1)
        inner[-1] += "," if index + 1 < len(members) else ""
        lines += inner
    return lines + [" " * depth + closing]


def served():
    with Server("server") as server:
        status, document = server.call("GET", "/openapi.json")
    if status != 200:
        raise AssertionError(f"/openapi.json answered {status}: {document}")
    return document


def references(node):
    """Every $ref below `node`."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


class OpenApiTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = served()

    def test_served_document_is_the_committed_one(self):
        committed = COMMITTED.read_text(encoding="utf-8") if COMMITTED.exists() else ""
        fresh = pretty(self.document)
        if committed != fresh:
            lines = list(difflib.unified_diff(committed.splitlines(), fresh.splitlines(), "docs/openapi.json", "served", lineterm="", n=2))
            self.fail("the API changed: run `make openapi`, look at the difference and commit it\n" + "\n".join(lines[:80]))

    def test_every_reference_leads_somewhere_and_every_definition_is_used(self):
        used = set(references(self.document))
        defined = {f"#/components/{part}/{name}" for part in ("schemas", "responses") for name in self.document["components"][part]}
        self.assertEqual(sorted(used - defined), [])
        self.assertEqual(sorted(defined - used), [])

    def test_no_schema_stands_twice(self):
        """A struct that two operations use has a name (kSchemaName) and is defined once."""
        seen = {}

        def collect(node, where):
            if isinstance(node, dict):
                if node.get("type") == "object" and len(node.get("properties", {})) > 2:
                    seen.setdefault(json.dumps(node["properties"], sort_keys=True), []).append(where)
                for key, value in node.items():
                    collect(value, f"{where}/{key}")
            elif isinstance(node, list):
                for index, value in enumerate(node):
                    collect(value, f"{where}/{index}")

        collect(self.document, "")
        # What is asked for and what is answered may have the same members and differ in what must be there.
        nested = [[place for place in places if place.count("/") > 3] for places in seen.values() if len(places) > 1]
        repeated = [places for places in nested if places]
        self.assertEqual(repeated, [])


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        COMMITTED.write_text(pretty(served()), encoding="utf-8")
    else:
        unittest.main()
