"""Checks the house style that a program can see: python3 tools/checks/tidy.py [ROOT]

Sizes are ratcheted: what is over a limit today is listed in tools/tidy_ratchet.txt as `RULE PATH[:NAME] VALUE`, and that file may only
shrink. The rules with their reasons are in docs/STYLE.md.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import source  # noqa: E402

FUNCTION_LINES = 70
FILE_LINES = 500
LINE_LENGTH = 140
PORT_METHODS = 8
BLOB_BYTES = 100_000
# Written by a program and held to it by a test: split, it would be no document any more.
GENERATED = ("docs/openapi.json",)
RATCHET = "tools/tidy_ratchet.txt"


class Ban:
    """A pattern that may not occur, and what to write instead. `code`: comments and literals do not count. `allowed`: path prefixes
    that may use it. `tests`: whether it holds in test code too."""

    def __init__(self, pattern, instead, code=True, allowed=(), tests=True):
        self.pattern, self.instead, self.code, self.allowed, self.tests = re.compile(pattern), instead, code, allowed, tests


CPP_BANS = [
    Ban(r"\bstd::rand\b|\bsrand\s*\(|(?<![\w:.>])rand\s*\(\s*\)", "take a trainyard::Rng& (base/rng.h)"),
    Ban(r"\brandom_device\b|\bmt19937", "take a trainyard::Rng& (base/rng.h)", allowed=("src/base/",)),
    Ban(r"\bsystem_clock::now\b", "take a trainyard::Clock& (base/time.h)", allowed=("src/base/",)),
    # net keeps deadlines for the kernel's own clock, so a fake one would only mislead there.
    Ban(r"\bsteady_clock::now\b", "take a trainyard::Clock& (base/time.h)", allowed=("src/base/", "src/net/"), tests=False),
    Ban(r"\bsleep_for\b|\bsleep_until\b|\busleep\s*\(|\bnanosleep\s*\(|(?<![\w:.>])sleep\s*\(",
        "wait for the event itself, with a deadline"),
    Ban(r"#\s*include\s*<format>|\bstd::format\b", "use fmt"),
    Ban(r"#\s*include\s*<expected>|\bstd::expected\b", "use trainyard::Result (base/result.h)"),
    # Tensors have a detach() too.
    Ban(r"\.detach\s*\(\s*\)", "own the thread with std::jthread and join it", allowed=("src/adapters/torch/",)),
    Ban(r"\bthrow\b", "return an Error; our code does not throw", tests=False),
    Ban(r"(?<![\w])assert\s*\(", "use CHECK (base/check.h), which is always on"),
    Ban(r"\busing\s+namespace\s+std\s*;", "name what is used"),
    Ban(r"\bMOCK_METHOD\b", "write a fake that behaves"),
    Ban(r"^\s*#\s*ifndef\s+\w+_H_?\b", "use #pragma once"),
]
EVERYWHERE_BANS = [
    Ban(r"\b(TODO|FIXME|XXX|HACK)\b", "do it now, or write what is open into the docs", code=False),
    Ban(r"(?<![\w.$}])/(work/(main|shared|\.library)|root/)",
        "machine paths have no place in the repository; use a relative path or $HOME", code=False),
    Ban(r"(?<![\w.$}])/home/[a-z]", "machine paths have no place in the repository; use a relative path or $HOME", code=False, tests=False),
    Ban(r"\b(pypi\.org|pythonhosted\.org|(deb|security)\.debian\.org|registry\.npmjs\.org|proxy\.golang\.org|repo1?\.maven\.|crates\.io|"
        r"download\.pytorch\.org|docker\.io|ghcr\.io|quay\.io|gcr\.io)\b",
        "name the package and let its ordinary client find the registry", code=False),
    Ban(r"(?i)\b(ticket|issue)\s*#?[0-9]+\b|\btask #[0-9]+\b|\b(DESIGN|DEPENDENCIES|EXAMPLE|BRIEF)(\.md\b| section)",
        "say why in words that stand alone", code=False),
]
BAD_FILE_NAME = re.compile(r"(^|_)(utils?|helpers?|common|misc)\.(h|cpp)$")
TEXT_SUFFIXES = (".h", ".cpp", ".md", ".cmake", ".txt", ".py", ".sh",
                 ".yaml", ".yml", ".json", ".js", ".html", ".css", ".proto", ".sql", ".lock")
OWN_PATTERNS = ("tools/checks/tidy.py", "tests/checks/", "docs/STYLE.md")


def is_text(path):
    name = os.path.basename(path)
    return name.endswith(TEXT_SUFFIXES) or "." not in name


# --- functions ------------------------------------------------------------------------------------------------------------------

TYPE_OR_NAMESPACE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")
BODY_BEFORE = re.compile(r"(\)|\bconst|\bnoexcept|\boverride|\bfinal|\bmutable|\btry|&|->\s*[\w:<>,&*\s]+|\brequires\b.*)\s*$", re.DOTALL)
MEMBER_INIT = re.compile(r"\)\s*(noexcept\s*)?:[^:]")
NAME = re.compile(r"([\w~]+(?:::[\w~]+)*|operator[^\s(]+)\s*\(")


def opens_function(head):
    """Whether the `{` after `head`, met where declarations stand, opens a function body."""
    if "(" not in head or (TYPE_OR_NAMESPACE.search(head.split("(", 1)[0]) and "=" not in head and ")" not in head):
        return False
    if MEMBER_INIT.search(head):
        return head.rstrip()[-1] in "})"
    return bool(BODY_BEFORE.search(head))


def functions(code):
    """(name, first line, last line) of every function body in `code`, which holds no comments or literals."""
    code = re.sub(r"^\s*#.*?(?<!\\)$", lambda m: re.sub(r"[^\n]", " ", m.group(0)), code, flags=re.MULTILINE | re.DOTALL)
    found, stack, head_start, line = [], [], 0, 1
    for offset, char in enumerate(code):
        if char == "\n":
            line += 1
        elif char == "{":
            head = code[head_start:offset]
            inside = bool(stack) and stack[-1][0] != "scope"
            if inside:
                stack.append(("block", None, 0, head_start))
            elif opens_function(head):
                first = line - head.lstrip().count("\n")
                stack.append(("function", (NAME.search(head) or [None, "?"])[1], first, offset + 1))
            elif MEMBER_INIT.search(head) or (("=" in head or "(" in head) and not TYPE_OR_NAMESPACE.search(head)):
                stack.append(("block", None, 0, head_start))
            else:
                stack.append(("scope", None, 0, offset + 1))
                head_start = offset + 1
        elif char == "}" and stack:
            kind, name, first, start = stack.pop()
            if kind == "function":
                found.append((name, first, line))
            head_start = start if kind == "block" else offset + 1
        elif char == ";" and not (stack and stack[-1][0] != "scope"):
            head_start = offset + 1
    return found


def port_sizes(code):
    """(class, number of pure virtual methods) of every class in `code`."""
    for match in re.finditer(r"\b(?:class|struct)\s+(\w+)[^;{(]*\{", code):
        depth, end = 1, match.end()
        while depth and end < len(code):
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
        yield match.group(1), len(re.findall(r"\)[\s\w&]*=\s*0\s*;", code[match.end():end]))


# --- rules ----------------------------------------------------------------------------------------------------------------------

def sizes(path, text):
    """(rule, what, value, limit, line) of everything over a limit that the ratchet may excuse."""
    lines = text.split("\n")
    count = len(lines) - (lines[-1] == "")
    if count > FILE_LINES:
        yield "file-lines", path, count, FILE_LINES, 1
    code = source.code_only(text)
    for name, first, last in functions(code):
        if last - first + 1 > FUNCTION_LINES:
            yield "function-lines", f"{path}:{name}", last - first + 1, FUNCTION_LINES, first
    for name, methods in port_sizes(code):
        if methods > PORT_METHODS:
            yield "port-methods", f"{path}:{name}", methods, PORT_METHODS, 1


def banned(path, text, bans, code):
    for ban in bans:
        if path.startswith(tuple(ban.allowed)) or (not ban.tests and source.is_test(path)):
            continue
        for number, line in enumerate((code if ban.code else text).split("\n"), 1):
            found = ban.pattern.search(line)
            if found:
                yield f"{path}:{number}: '{found.group(0).strip()}': {ban.instead}"


def line_problems(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LINE_LENGTH:
            yield f"{path}:{number}: {len(line)} characters; a line has at most {LINE_LENGTH}"
        if line != line.rstrip() or "\t" in line:
            yield f"{path}:{number}: a tab, or blanks at the end of the line"


def cpp_problems(path, text):
    code = source.code_only(text)
    lines = text.split("\n")
    for number, line in enumerate(code.split("\n"), 1):
        if re.search(r"\bshared_ptr\b", line) and "// shared:" not in lines[number - 1]:
            yield f"{path}:{number}: shared_ptr: use a value, unique_ptr or reference, or say why on the line: // shared: ..."
    if path.endswith(".h") and "#pragma once" not in lines:
        yield f"{path}:1: a header without #pragma once"
    if BAD_FILE_NAME.search(os.path.basename(path)):
        yield f"{path}:1: the name says nothing; name the file after what is in it"
    yield from banned(path, text, CPP_BANS, code)


def blob_problems(root, paths):
    for path in paths:
        size = os.path.getsize(os.path.join(root, path))
        if size > BLOB_BYTES and not path.startswith("tests/data/") and path not in GENERATED:
            yield f"{path}: {size} bytes; files over {BLOB_BYTES} belong in tests/data or in a package that tools/bootstrap fetches"


def parse_ratchet(text):
    """`RULE PATH[:NAME] VALUE` lines -> {(rule, what): value}."""
    entries = {}
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if len(words) == 3:
            entries[(words[0], words[1])] = int(words[2])
    return entries


def ratchet_problems(allowed, measured):
    """Holds today's sizes (`measured`: {(rule, what): (value, limit, line)}) against the ratchet."""
    for (rule, what), (value, limit, line) in sorted(measured.items()):
        if (rule, what) not in allowed:
            yield f"{what} (line {line}): {rule} {value}; the limit is {limit}: split it"
        elif value > allowed[(rule, what)]:
            yield f"{what} (line {line}): {rule} {value}; it was {allowed[(rule, what)]} and may only shrink"
        elif value < allowed[(rule, what)]:
            yield f"{RATCHET}: {rule} {what} is down to {value}: write that, so that it stays down"
    for rule, what in sorted(set(allowed) - set(measured)):
        yield f"{RATCHET}: {rule} {what} is within its limit now: remove the line"


def growth_problems(root, allowed):
    """The ratchet file itself may not gain lines or values compared with the last commit."""
    shown = subprocess.run(["git", "-C", root, "show", f"HEAD:{RATCHET}"], capture_output=True, text=True, check=False)
    if shown.returncode != 0:
        return
    before = parse_ratchet(shown.stdout)
    for key, value in sorted(allowed.items()):
        if value > before.get(key, 0):
            yield f"{RATCHET}: {' '.join(key)} {value}: the ratchet may only shrink"


def check(root):
    """All violations below `root`, one line each."""
    paths = source.tracked_files(root)
    problems, measured = list(blob_problems(root, paths)), {}
    for path in paths:
        if path.startswith("tests/data/") or not is_text(path) or os.path.getsize(os.path.join(root, path)) > BLOB_BYTES * 10:
            continue
        text = source.read(root, path)
        if not path.startswith(OWN_PATTERNS):
            problems += banned(path, text, EVERYWHERE_BANS, text)
        if path.endswith(source.CODE_SUFFIXES + (".py",)):
            problems += line_problems(path, text)
        if path.endswith(source.CODE_SUFFIXES):
            problems += cpp_problems(path, text)
            for rule, what, value, limit, line in sizes(path, text):
                measured[(rule, what)] = max(measured.get((rule, what), (0, limit, line)), (value, limit, line))
    allowed = parse_ratchet(source.read(root, RATCHET)) if os.path.isfile(os.path.join(root, RATCHET)) else {}
    problems += ratchet_problems(allowed, measured)
    problems += growth_problems(root, allowed)
    return problems


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.realpath(__file__)), "../..")
    problems = check(root)
    print("\n".join(problems) if problems else "tidy: nothing to say")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
