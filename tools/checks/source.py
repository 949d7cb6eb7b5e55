"""What the checks share: which files there are, and C++ text without its comments and literals."""
import os
import re
import subprocess

CODE_SUFFIXES = (".h", ".cpp")
SKIPPED_FOLDERS = {".git", "build", ".deps", "__pycache__", "node_modules"}


def tracked_files(root):
    """Paths relative to `root` of all files that are in git or would be added by `git add .`; without git, all but build output."""
    listing = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             capture_output=True, check=False)
    if listing.returncode == 0:
        names = {name for name in listing.stdout.decode().split("\0") if name}
        return sorted(name for name in names if os.path.isfile(os.path.join(root, name)))
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def is_test(path):
    """Test code: it may use fakes, adapters and real clocks."""
    return path.endswith("_test.cpp") or "/testing/" in path or path.startswith(("tests/", "bench/"))


_TOKEN = re.compile(r"""
    (?P<comment> //[^\n]* | /\*.*?\*/ )
  | (?P<raw> R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)" )
  | (?P<number> \b[0-9][0-9a-fA-FxX']* )
  | (?P<string> "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
""", re.VERBOSE | re.DOTALL)


def code_only(text):
    """`text` with comments and literals blanked out, line breaks kept, so that line numbers stay true."""
    def blank(match):
        if match.group("number"):
            return match.group(0)
        kept = re.sub(r"[^\n]", " ", match.group(0))
        return '""' + kept[2:] if match.group("string") or match.group("raw") else kept
    return _TOKEN.sub(blank, text)
