#!/usr/bin/env python3
"""Our ledgers on PostgreSQL and Redis beside a peer on the same server, in the same run: jobs queued and carried out a second.

usage: python3 bench/ledger_peers.py [--jobs N] [--rounds N] [postgres] [redis]

The peers are graphile-worker on PostgreSQL and bullmq on Redis, of the versions in bench/peers/package.json, which npm installs into
build/peers; Node.js is needed. The servers are started as the tests start them: every commit is synced. Each round takes both sides, ours
first in even rounds, each with an empty server. "jobs_per_s" is lease and completion of jobs that do nothing; ours go through JobService,
with its plans, events and records, in batches as large as those of the peer.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/e2e"))

import servers  # noqa: E402  The path is set above.

PARSER = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
PARSER.add_argument("--bench", default="build/release/bench", help="where jobs_bench is")
PARSER.add_argument("--jobs", type=int, default=100_000)
PARSER.add_argument("--rounds", type=int, default=3)
PARSER.add_argument("which", nargs="*", metavar="SERVER", help="postgres, redis; default: both")
OPTIONS = PARSER.parse_args()
PEERS = ROOT / "build/peers"
LIMIT_SECONDS = 600


def install():
    """The pinned peers, unless they are there."""
    source = ROOT / "bench/peers"
    PEERS.mkdir(parents=True, exist_ok=True)
    wanted = (source / "package.json").read_text()
    installed = PEERS / "installed.json"
    for script in source.glob("*.mjs"):
        shutil.copy(script, PEERS)
    if installed.exists() and installed.read_text() == wanted:
        return
    (PEERS / "package.json").write_text(wanted)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=PEERS, check=True, stdout=sys.stderr)
    installed.write_text(wanted)


def probe(directory):
    """p50 of append 4 KiB + fdatasync in ms."""
    times = []
    with open(directory / "probe", "ab", buffering=0) as file:
        for _ in range(200):
            begin = time.perf_counter()
            file.write(b"p" * 4096)
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def output_of(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def ours(url, directory):
    bench = pathlib.Path(OPTIONS.bench).resolve() / "jobs_bench"
    lines = output_of([bench, str(OPTIONS.jobs), "1000", str(directory), "lease_and_complete", "--state", url])
    rates = {line["figure"]: line.get("per_second") for line in lines}
    return {"submits_per_s": rates["submit"], "jobs_per_s": rates["lease_and_complete"]}


def peer(script, url):
    line, = output_of(["node", script, url, str(OPTIONS.jobs)], cwd=PEERS)
    return {key: line[key] for key in ("submits_per_s", "jobs_per_s")}


def compare(name, start, script, directory):
    measured = {"ours": [], "peer": []}
    probes = []
    for number in range(OPTIONS.rounds):
        for side in ("ours", "peer") if number % 2 == 0 else ("peer", "ours"):
            place = directory / f"{name}-{number}-{side}"
            place.mkdir()
            probes.append(probe(place))
            server = start(place / "server")
            try:
                measured[side].append(ours(server.url, place) if side == "ours" else peer(script, server.url))
            finally:
                server.stop()
                shutil.rmtree(place)
    result = {"benchmark": "ledger_peers", "server": name, "peer": script.removesuffix(".mjs"), "jobs": OPTIONS.jobs,
              "probe_p50_ms": round(statistics.median(probes), 3)}
    for figure in ("submits_per_s", "jobs_per_s"):
        mean = {side: statistics.median(values[figure] for values in rounds) for side, rounds in measured.items()}
        result.update({f"ours_{figure}": round(mean["ours"]), f"peer_{figure}": round(mean["peer"]),
                       f"ratio_{figure}": round(mean["ours"] / mean["peer"], 2)})
    print(json.dumps(result), flush=True)


def main():
    install()
    with tempfile.TemporaryDirectory(prefix="trainyard-peers-") as directory:
        which = OPTIONS.which or ["postgres", "redis"]
        if "postgres" in which:
            compare("postgres", servers.start_postgres, "graphile.mjs", pathlib.Path(directory))
        if "redis" in which:
            compare("redis", servers.start_redis, "bullmq.mjs", pathlib.Path(directory))


if __name__ == "__main__":
    main()
