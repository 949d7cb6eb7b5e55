"""Checks every #include below src/ against tools/layers.txt: python3 tools/checks/layers.py [ROOT]"""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import source  # noqa: E402

QUOTED = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
ANGLED = re.compile(r"^\s*#\s*include\s*<([^>]+)>", re.MULTILINE)
EVERYBODY_MAY = ("base", "domain")

# What a pure library may not name: it decides from values, and its caller owns time, threads and chance.
IMPURE = [
    (re.compile(r"#\s*include\s*<(thread|mutex|shared_mutex|condition_variable|future|atomic|fstream|filesystem|random|iostream)>"),
     "header <{}>"),
    (re.compile(r"\b(Clock|SystemClock|Executor|steady_clock::now|system_clock::now|random_device|getenv)\b"), "name {}"),
    (re.compile(r'#\s*include\s*"(base/(?:executor|file|rng|failpoint|log|metrics)\.h)"'), "header {}"),
]


class Library:
    def __init__(self, level, name, may, flags):
        self.level, self.name, self.may, self.flags = level, name, may, flags


class Table:
    def __init__(self, libraries, headers):
        self.libraries, self.headers = libraries, headers

    def owner(self, path):
        """The library that a path below src/ belongs to: the longest name that is a folder of it."""
        parts = path.split("/")[:-1]
        for length in range(len(parts), 0, -1):
            found = self.libraries.get("/".join(parts[:length]))
            if found:
                return found
        return None


def parse_table(text):
    """tools/layers.txt -> (Table, problems)."""
    libraries, headers, problems = {}, [], []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if words[0] == "headers" and ":" in words:
            colon = words.index(":")
            headers.append((tuple(words[1:colon]), tuple(words[colon + 1:])))
        elif re.fullmatch(r"[0-9]+([.][0-9])?", words[0]) and len(words) > 1:
            flags = {word[1:] for word in words[2:] if word.startswith("+")}
            may = [word for word in words[2:] if not word.startswith("+")]
            libraries[words[1]] = Library(float(words[0]), words[1], may, flags)
        else:
            problems.append(f"tools/layers.txt:{number}: not 'LEVEL LIBRARY MAY...' or 'headers PREFIX... : FOLDER...'")
    problems += table_problems(libraries)
    return Table(libraries, headers), problems


def table_problems(libraries):
    problems = []
    for library in libraries.values():
        for name in library.may:
            if name == "*":
                continue
            if name not in libraries:
                problems.append(f"tools/layers.txt: {library.name} may include {name}, which is not in the table")
            elif libraries[name].level >= library.level:
                problems.append(f"tools/layers.txt: {library.name} (level {library.level:g}) may include {name} "
                                f"(level {libraries[name].level:g}): edges go strictly down")
            elif name.startswith("adapters/"):
                problems.append(f"tools/layers.txt: {library.name} may include {name}: only apps and tests include adapters")
    return problems


def may_include(library, target, path):
    if target.name == library.name or "*" in library.may:
        return True
    if target.name in EVERYBODY_MAY:
        return target.level < library.level
    if target.name in library.may:
        return True
    # A unit test may set up what its library never sees, as long as the edge goes down.
    return source.is_test(path) and (target.name.startswith("adapters/") or target.level < library.level)


def edge_problem(library, target, path, included):
    if "/internal/" in included and target.name != library.name:
        return f"includes {included}: internal headers belong to their own library"
    fakes_allowed = source.is_test(path) or "testing" in library.flags or path.startswith("src/apps/simulate/")
    if "/testing/" in included and not fakes_allowed:
        return f"includes {included}: fakes are for tests"
    if not may_include(library, target, path):
        return (f"includes {included}: {library.name} may not include {target.name}. Move the code, pass the value in, "
                "or argue for the edge in tools/layers.txt and src/CMakeLists.txt")
    return None


def heavy_problems(table, path, text):
    for included in ANGLED.findall(text):
        for prefixes, folders in table.headers:
            if not included.startswith(prefixes) or source.is_test(path):
                continue
            inside = path[len("src/"):]
            if not any(inside.startswith(folder + "/") for folder in folders):
                yield f"includes <{included}>: only {', '.join(folders)} may; use the port or facade instead"
            elif path.endswith(".h") and "/internal/" not in path:
                yield f"includes <{included}> in a header: heavy headers go in .cpp files"


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def file_problems(root, table, path):
    text = source.read(root, path)
    library = table.owner(path[len("src/"):])
    if library is None:
        return [f"{path}: its folder is no library of tools/layers.txt"]
    problems = []
    for match in QUOTED.finditer(text):
        included = match.group(1)
        target = table.owner(included)
        where = f"{path}:{line_of(text, match.start(1))}"
        if not os.path.isfile(os.path.join(root, "src", included)):
            problems.append(f"{where}: includes {included}, which is not below src/ (paths are written from src/)")
        elif target is None:
            problems.append(f"{where}: includes {included}, which belongs to no library of tools/layers.txt")
        else:
            problem = edge_problem(library, target, path, included)
            problems += [f"{where}: {problem}"] if problem else []
    problems += [f"{path}: {problem}" for problem in heavy_problems(table, path, text)]
    if "pure" in library.flags and not source.is_test(path):
        problems += impurities(path, text, library.name)
    return problems


def impurities(path, text, name):
    code = "\n".join(line if line.lstrip().startswith("#") else code for line, code in
                     zip(text.split("\n"), source.code_only(text).split("\n")))
    for pattern, what in IMPURE:
        for match in pattern.finditer(code):
            yield f"{path}:{line_of(code, match.start())}: {what.format(match.group(1))} in {name}, which is pure: take values instead"


def declared_problems(table, text):
    """Holds the DEPS of every lib() in src/CMakeLists.txt against the table, so that linker and checker are told the same."""
    for name, arguments in re.findall(r"^lib\(\s*([\w/]+)([^)]*)\)", text, re.MULTILINE):
        deps = re.search(r"\bDEPS((?:\s+[a-z][\w/]*)+)", arguments)
        library = table.libraries.get(name)
        if library is None:
            yield f"src/CMakeLists.txt: lib({name}) is not in tools/layers.txt"
        for dep in deps.group(1).split() if deps and library else []:
            if dep not in EVERYBODY_MAY and dep not in library.may and "*" not in library.may:
                yield f"src/CMakeLists.txt: lib({name}) has {dep} in its DEPS, which tools/layers.txt does not allow"


def check(root):
    """All violations below `root`, one line each."""
    table, problems = parse_table(source.read(root, "tools/layers.txt"))
    if os.path.isfile(os.path.join(root, "src/CMakeLists.txt")):
        problems += declared_problems(table, source.read(root, "src/CMakeLists.txt"))
    for path in source.tracked_files(root):
        if path.startswith("src/") and path.endswith(source.CODE_SUFFIXES):
            problems += file_problems(root, table, path)
    return problems


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.realpath(__file__)), "../..")
    problems = check(root)
    print("\n".join(problems) if problems else "layers: every include goes down an edge of tools/layers.txt")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
