"""Every shell block of the guides, run from the first to the last as it is printed, against a real server."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from harness import BIN, Server

GUIDES = pathlib.Path(__file__).parent.parent.parent / "docs/guide"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks_of(name):
    return BLOCK.findall((GUIDES / name).read_text(encoding="utf-8"))


class GuideTest(unittest.TestCase):
    def run_guide(self, name):
        blocks = blocks_of(name)
        self.assertGreater(len(blocks), 3)
        with Server() as server, tempfile.TemporaryDirectory() as scratch:
            environment = dict(os.environ, PATH=f"{BIN}:{os.environ['PATH']}", HOME=scratch, TRAINYARD_URL=server.url,
                               TRAINYARD_TOKEN_FILE=server.ready["token_file"])
            # One shell, as a reader has it; the number of the block says where it stopped.
            script = "set -euo pipefail\n" + "\n".join(f"echo '== block {i}' >&2\n{text}" for i, text in enumerate(blocks))
            done = subprocess.run(["bash", "-c", script], cwd=scratch, env=environment, capture_output=True, text=True,
                                  timeout=120, check=False)
            self.assertEqual(done.returncode, 0, f"{name}: {done.stderr[-3000:]}{done.stdout[-2000:]}")
            return server.call("GET", "/api/v1/jobs?limit=1000")[1]["jobs"], done.stdout

    def test_guide_of_access_works_as_printed(self):
        _, out = self.run_guide("access.md")
        self.assertIn("ann", out)
        self.assertIn('"token.revoke', out)
        self.assertNotIn("ty_pat_", out)

    def test_guide_of_the_api_works_as_printed(self):
        jobs, out = self.run_guide("api.md")
        self.assertEqual(len([job for job in jobs if job["name"] == "nightly"]), 1, "the same key is the same job")
        self.assertIn("did you mean \\\"tasks\\\"?", out)
        self.assertTrue(any(job["state"] == "CANCELLED" for job in jobs))


if __name__ == "__main__":
    unittest.main()
