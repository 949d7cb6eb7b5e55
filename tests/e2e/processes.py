"""Finds the processes of jobs among all processes of the machine."""

import os
import pathlib

from harness import process_alive


def ranks_of_job(server, job, program="trainyard-"):
    """The pids of one job's ranks on this server, by their environment; `program` is a part of the command line."""
    marks = (f"TRAINYARD_JOB_ID={job}\0".encode(), bytes(server.data))
    pids = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if all(mark in environment for mark in marks) and program.encode() in command:
            pids.append(int(entry.name))
    return sorted(pids)


def processes_of(directory, program=""):
    """Pids of living processes whose command line or environment names the directory; `program` is a part of the command line."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            text = command + b"\0" + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(directory).encode() in text and program.encode() in command and process_alive(int(entry.name)):
            found.append(int(entry.name))
    return found
