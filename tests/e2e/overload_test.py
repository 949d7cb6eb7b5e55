"""Ten times the measured peak rate of submits: the server keeps its memory, its goodput and its running jobs, and says when to come again.

A few seconds of it in every run; TRAINYARD_SWEEP=long takes a whole minute. bench/submit_load offers the submits.
"""

import json
import os
import pathlib
import subprocess
import unittest

from harness import BIN, Server, process_alive, wait_until

LONG = os.environ.get("TRAINYARD_SWEEP") == "long"
LOAD = pathlib.Path(os.environ.get("TRAINYARD_BENCH", BIN.parent / "bench")) / "submit_load"
PEAK_SECONDS = 15 if LONG else 3
OVERLOAD_SECONDS = 60 if LONG else 4
CONNECTIONS_AT_PEAK = 200
CONNECTIONS_MANY = 1060  # The server takes 1,024 and answers some more with 503.
TIMES = 10
WAIT = "1s"  # Jobs that find no room are over then, so that the same number is live at every rate.
LEASE = "2s"  # Shorter than the overload, so that a heartbeat that is held up shows.


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the server is gone")


def load(server, seconds, connections, rate=0):
    command = [LOAD, "--port", server.url.rsplit(":", 1)[1], "--token-file", server.ready["token_file"], "--connections", str(connections),
               "--seconds", str(seconds), "--rate", str(rate), "--wait", WAIT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True)
    return json.loads(done.stdout)


class OverloadTest(unittest.TestCase):
    """Two floods of 200 connections as fast as they are answered find the peak; then ten times as many submits are offered, from more
    connections than the server takes."""

    def test_ten_times_the_peak_rate_costs_neither_memory_nor_goodput_nor_running_jobs(self):
        with Server("--lease", LEASE) as server:
            cpus = wait_until(lambda: server.call("GET", "/api/v1/nodes")[1]["nodes"], what="the node")[0]["cpu"]
            healthy = server.submit("sh", "-c", "echo pid $$; exec sleep 600", limits={"grace": "1s"}, resources={"cpu": cpus})
            pid = wait_until(lambda: server.logs(healthy).split(), what="the job that is to be left alone")[1]
            floods = [load(server, PEAK_SECONDS, CONNECTIONS_AT_PEAK) for _ in range(2)]
            peak = max(flood["goodput_per_s"] for flood in floods)
            memory_at_peak = resident_mib(server.process.pid)
            over = load(server, OVERLOAD_SECONDS, CONNECTIONS_MANY, TIMES * peak)
            memory = resident_mib(server.process.pid)
            print(json.dumps({"peak_per_s": peak, "memory_at_peak_mib": memory_at_peak, "memory_mib": memory, **over}), flush=True)

            self.assertTrue(process_alive(int(pid)))
            # The last of the flood is still being worked on.
            wait_until(lambda: server.call("GET", "/api/v1/nodes")[0] == 200, what="an answer")
            job = server.job(healthy)
            self.assertEqual((job["state"], job["attempt"]), ("RUNNING", 1), job["reason"])
            self.assertEqual(server.call("GET", "/api/v1/nodes")[1]["nodes"][0]["ready"], True)
            self.assertGreaterEqual(over["goodput_per_s"], 0.8 * peak if LONG else 0.5 * peak)
            self.assertLessEqual(set(over["statuses"]), {"201", "429", "503"})
            self.assertGreater(over["statuses"].get("503", 0) + over["statuses"].get("429", 0), 0, "nothing was refused: no overload")
            self.assertEqual(over["without_retry_after"], 0)
            self.assertLessEqual(memory, 1.5 * memory_at_peak)


if __name__ == "__main__":
    unittest.main(verbosity=2)
