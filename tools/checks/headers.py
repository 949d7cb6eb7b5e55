"""Compiles every header below src/ on its own: python3 tools/checks/headers.py BUILD_DIRECTORY

A header passes when a unit that includes it first, and twice, has no errors or warnings. What passed is remembered by the hash
of the header, of everything of ours that it includes, and of the flags, so that only changed headers cost time. A header x.h
that x.cpp includes first is proven by the build itself and is left out.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import source  # noqa: E402

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
BASE_FLAGS = ["-std=c++20", "-fsyntax-only", "-D_GLIBCXX_ASSERTIONS",
              "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wnon-virtual-dtor", "-Wno-missing-field-initializers", "-Werror"]


def closure(root, path, seen):
    """`path` and all files below src/ that it includes, directly or not."""
    if path in seen or not os.path.isfile(os.path.join(root, path)):
        return seen
    seen[path] = text = source.read(root, path)
    for included in INCLUDE.findall(text):
        closure(root, "src/" + included, seen)
    return seen


def proven_by_build(root, path):
    """Whether x.cpp beside `path` includes it before anything else (libraries are built without precompiled or unity units)."""
    unit = path[:-len(".h")] + ".cpp"
    if not os.path.isfile(os.path.join(root, unit)):
        return False
    first = re.search(r"^\s*#\s*include\s*(\S+)", source.read(root, unit), re.MULTILINE)
    return bool(first) and first.group(1) == f'"{path[len("src/"):]}"'


def include_flags(command):
    """The -I, -isystem and -D arguments of one compile command."""
    words, flags = shlex.split(command), []
    for index, word in enumerate(words):
        if word.startswith(("-I", "-D")):
            flags.append(word)
        elif word == "-isystem":
            flags += [word, words[index + 1]]
    return flags


class HeaderCheck:
    def __init__(self, root, build, compiler, stamps):
        self.root, self.compiler, self.stamps = os.path.realpath(root), compiler, stamps
        self.version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
        self.flags_by_folder = {}
        commands = os.path.join(build, "compile_commands.json")
        if os.path.isfile(commands):
            with open(commands, encoding="utf-8") as file:
                for entry in json.load(file):
                    folder = os.path.dirname(os.path.relpath(entry["file"], self.root))
                    self.flags_by_folder.setdefault(folder, include_flags(entry["command"]))

    def flags_for(self, path):
        """Flags of a unit in the header's folder or the nearest folder above it."""
        folder = os.path.dirname(path)
        while folder and folder not in self.flags_by_folder:
            folder = os.path.dirname(folder)
        flags = self.flags_by_folder.get(folder, [])
        return BASE_FLAGS + [f"-I{self.root}/src"] + flags

    def stamp(self, path):
        files = closure(self.root, path, {})
        flags = [flag.replace(self.root, ".") for flag in self.flags_for(path)]
        text = json.dumps([self.version, flags, path, sorted(files.items())])
        return os.path.join(self.stamps, hashlib.sha256(text.encode()).hexdigest())

    def compile(self, path):
        """Compiler messages about `path`; empty when it stands alone."""
        name = path[len("src/"):]
        unit = f'#include "{name}"\n#include "{name}"\n'
        command = [self.compiler, *self.flags_for(path), "-x", "c++", "-"]
        done = subprocess.run(command, input=unit, capture_output=True, text=True, check=False)
        return done.stderr if done.returncode else ""

    def check(self, path):
        stamp = self.stamp(path)
        if os.path.exists(stamp):
            return path, "", False
        messages = self.compile(path)
        if not messages:
            os.makedirs(self.stamps, exist_ok=True)
            with open(stamp, "w", encoding="ascii"):
                pass
        return path, messages, True


def check(root, build, compiler="c++", stamps=None, jobs=None):
    """(violations, headers compiled now, headers that the build does not prove)."""
    checker = HeaderCheck(root, build, compiler, stamps or os.path.join(build, "header_checks"))
    headers = [path for path in source.tracked_files(root)
               if path.startswith("src/") and path.endswith(".h") and not proven_by_build(root, path)]
    with concurrent.futures.ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        results = list(pool.map(checker.check, headers))
    violations = [f"{path}: does not stand alone:\n{messages}" for path, messages, _ in results if messages]
    return violations, sum(fresh for _, _, fresh in results), len(headers)


def shared_stamps(build):
    """Beside the compiler cache when there is one, so that a second clone starts warm."""
    with open(os.path.join(build, "timings.path"), encoding="utf-8") as file:
        return os.path.join(os.path.dirname(file.read().strip()), "headers")


def main():
    build = sys.argv[1]
    root = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../..")
    violations, compiled, total = check(root, build, stamps=shared_stamps(build))
    good = f"headers: all stand alone ({total} that no unit includes first, {compiled} of them compiled now)"
    print("\n".join(violations) if violations else good)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
