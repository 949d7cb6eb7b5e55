"""Checks what the build costs: python3 tools/checks/build_time.py BUILD_DIRECTORY [--list | --measure]

tools/compile-timer recorded the user CPU seconds of every unit when it was last compiled. The check fails when a unit that
tools/build_time_ratchet.txt does not list takes over 8 s (a unity unit of four test files 16 s), a listed one passes its
allowance, a built unit was never measured, or the sum passes its own. Seconds are scaled by what the
reference unit takes on this machine, so that a slow or busy one does not fail.
  --list     prints all units, most expensive first
  --measure  compiles those without a record once more, past the cache
"""
import json
import os
import shlex
import subprocess
import sys

UNIT_LIMIT_S = 8.0
UNITY_LIMIT_S = 16.0  # A unity unit holds up to four test files.
RATCHET = "tools/build_time_ratchet.txt"


class Ratchet:
    """`unit NAME SECONDS`, `sum SECONDS` and `reference NAME SECONDS` lines."""

    def __init__(self, text):
        self.units, self.total, self.reference, self.reference_s = {}, None, None, 1.0
        for line in text.splitlines():
            words = line.split("#", 1)[0].split()
            if words[:1] == ["unit"]:
                self.units[words[1]] = float(words[2])
            elif words[:1] == ["sum"]:
                self.total = float(words[1])
            elif words[:1] == ["reference"]:
                self.reference, self.reference_s = words[1], float(words[2])


def output_of(entry):
    words = shlex.split(entry["command"])
    return words[words.index("-o") + 1]


def unit_name(entry, root):
    """The same name that tools/compile-timer gives the unit."""
    path = os.path.relpath(os.path.realpath(os.path.join(entry["directory"], entry["file"])), root)
    return "generated/" + output_of(entry) if path.startswith(("build/", "../")) or entry["file"].endswith((".hxx", ".cxx")) else path


def built_units(root, build):
    """{name: compile command} of the units whose object exists."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    return {unit_name(entry, root): entry for entry in entries if os.path.exists(os.path.join(entry["directory"], output_of(entry)))}


def seconds_of(timings, name):
    try:
        with open(os.path.join(timings, name + ".seconds"), encoding="ascii") as file:
            return float(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def problems_in(seconds, ratchet):
    """Violations in {unit: seconds or None}."""
    reference = seconds.get(ratchet.reference)
    scale = max(1.0, reference / ratchet.reference_s) if reference else 1.0
    for name, taken in sorted(seconds.items()):
        allowance = ratchet.units.get(name, UNITY_LIMIT_S if "/Unity/" in name else UNIT_LIMIT_S)
        if taken is None:
            yield f"{name}: was never measured; run python3 tools/checks/build_time.py BUILD_DIRECTORY --measure"
        elif taken > allowance * scale:
            yield (f"{name}: {taken:.1f} user s; its allowance is {allowance:g} s (times {scale:.2f} on this machine): "
                   "split it, or include less")
    total = sum(taken or 0 for taken in seconds.values())
    if ratchet.total is not None and total > ratchet.total * scale:
        yield (f"all units together: {total:.0f} user s; the allowance in {RATCHET} is {ratchet.total:g} s "
               f"(times {scale:.2f} on this machine)")


def load(root, build):
    with open(os.path.join(build, "timings.path"), encoding="utf-8") as file:
        timings = file.read().strip()
    with open(os.path.join(root, RATCHET), encoding="utf-8") as file:
        ratchet = Ratchet(file.read())
    units = built_units(root, build)
    seconds = {name: seconds_of(timings, name) for name in units}
    if ratchet.reference not in seconds:
        reference = seconds_of(timings, ratchet.reference or "")
        seconds.update({ratchet.reference: reference} if reference else {})
    return units, seconds, ratchet


def measure(units, seconds):
    environment = dict(os.environ, CCACHE_RECACHE="1")
    for name in sorted(name for name, taken in seconds.items() if taken is None):
        print(f"measuring {name}", flush=True)
        subprocess.run(units[name]["command"], shell=True, cwd=units[name]["directory"], env=environment, check=True)


def main():
    build = os.path.realpath(sys.argv[1])
    root = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "../.."))
    units, seconds, ratchet = load(root, build)
    if "--measure" in sys.argv:
        measure(units, seconds)
        units, seconds, ratchet = load(root, build)
    if "--list" in sys.argv:
        for name, taken in sorted(seconds.items(), key=lambda item: -(item[1] or 0)):
            print(f"{taken if taken is not None else -1:8.2f} {name}")
    problems = list(problems_in(seconds, ratchet))
    total = sum(taken or 0 for taken in seconds.values())
    print("\n".join(problems) if problems else f"build time: {len(seconds)} units, {total:.0f} user s together, none over its allowance")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
