"""Every operation of the served /openapi.json, asked by every kind of caller at a real server.

What each operation takes is committed in tests/data/api/permissions.txt, apart from the program: a permission that is loosened fails here
even though the document agrees with the program. A new operation is asked as soon as it is served, and its line must be added to the table.
"""

import http.client
import json
import pathlib
import unittest
import urllib.parse

from harness import Server, wait_until

TABLE = pathlib.Path(__file__).parent.parent / "data/api/permissions.txt"
ROLES = ("viewer", "runner", "operator", "admin")
# The namespace of everything that the callers ask for, and one that has nothing to do with it.
OURS, THEIRS = "vision", "text"
STANDALONE_SPEC = {"command": ["sleep", "600"], "namespace": OURS, "hold": True}
# Some of what is served besides the platform API: method, path, body, and what it takes, as in the table.
OTHER_ROUTES = (
    ("GET", "/healthz", None, "open any yes -"),
    ("GET", "/readyz", None, "open any yes -"),
    ("GET", "/metrics", None, "viewer any yes -"),
    ("POST", "/api/2.0/mlflow/experiments/search", {"max_results": 10}, "viewer any yes -"),
    ("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0"}, "runner any yes -"),
    ("POST", "/api/2.0/mlflow/registered-models/create", {"name": "digits"}, "runner any yes -"),
    ("POST", "/api/2.0/mlflow/experiments/delete", {"experiment_id": "77"}, "operator every no -"),
)
# Calls of MLflow that name a run, of a job in our namespace: method, path, body, and what it takes. {run} is the run.
RUN_ROUTES = (
    ("GET", "/api/2.0/mlflow/runs/get?run_id={run}", None, "viewer any yes ours:viewer"),
    ("GET", "/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key=loss", None, "viewer any yes ours:viewer"),
    ("GET", "/api/2.0/mlflow/artifacts/list?run_id={run}", None, "viewer any yes ours:viewer"),
    ("POST", "/api/2.0/mlflow/runs/log-metric", {"key": "loss", "value": 1, "timestamp": 1}, "runner any own ours:runner"),
    ("POST", "/api/2.0/mlflow/runs/log-parameter", {"key": "lr", "value": "1"}, "runner any own ours:runner"),
    ("POST", "/api/2.0/mlflow/runs/log-batch", {"tags": [{"key": "a", "value": "b"}]}, "runner any own ours:runner"),
    ("POST", "/api/2.0/mlflow/runs/log-model", {"model_json": "{}"}, "runner any own ours:runner"),
    ("POST", "/api/2.0/mlflow/runs/set-tag", {"key": "a", "value": "b"}, "runner any own ours:runner"),
    ("POST", "/api/2.0/mlflow/runs/delete-tag", {"key": "a"}, "runner any own ours:runner"),
    ("POST", "/api/2.0/mlflow/runs/update", {"end_time": 5}, "runner any own ours:runner"),
    ("POST", "/api/2.0/mlflow/runs/delete", {}, "runner any own ours:runner"),
    ("POST", "/api/2.0/mlflow/runs/restore", {}, "runner any own ours:runner"),
    ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/f", {}, "runner any own ours:runner"),
    ("GET", "/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/f", None, "viewer any yes ours:viewer"),
    ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/f", None, "runner any own ours:runner"),
)
SET_TAG = ("POST", "/api/2.0/mlflow/runs/set-tag", {"key": "a", "value": "b"})
FILE = {"uri": "ty://none/none", "size": 0, "checksum": "xxh3:" + "0" * 32, "role": "parquet:train"}


class Row:
    """One line of the table: what an operation takes."""

    def __init__(self, operation, role, where, attempts, others):
        self.operation, self.role, self.where, self.attempts, self.others = operation, role, where, attempts, others

    def text(self):
        return " ".join((self.operation, self.role, self.where, self.attempts, self.others))


def read_table():
    lines = (line.split("#", 1)[0].split() for line in TABLE.read_text().splitlines())
    return {words[0]: Row(*words) for words in lines if words}


class Caller:
    """Somebody with a token and what the token stands for: roles by namespace, an agent, or the attempt of a job."""

    def __init__(self, name, token, grants=None, kind="person"):
        self.name, self.token, self.grants, self.kind = name, token, grants or {}, kind

    def holds(self, role, namespace):
        """Whether it has at least this role there; "*" stands for everywhere, None for anywhere."""
        least = ROLES.index(role)
        return any(ROLES.index(held) >= least for scope, held in self.grants.items() if namespace is None or scope in (namespace, "*"))

    def allowed(self, row):
        if row.role == "open":
            return True
        if self.kind == "join":
            return row.role == "join"
        if self.kind == "agent":
            return row.role == "agent"
        if row.role == "join":
            return False
        if row.role == "agent":
            return self.holds("admin", "*")
        if self.kind == "attempt" and row.attempts != "yes":
            return row.attempts == "own"
        if not self.holds(row.role, None if row.where == "any" else "*"):
            return False
        if row.others in ("-", None):
            return True
        namespace, role = row.others.split(":")
        return self.holds(role, OURS if namespace == "ours" else "*")


class PermissionMatrixTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        cls.made = 0
        status, cls.document = cls.server.call("GET", "/openapi.json")
        assert status == 200, cls.document
        cls.table = read_table()
        cls.callers = cls.make_callers()
        cls.make_objects()

    # --- who asks

    @classmethod
    def create(cls, path, body, token=None):
        status, answer = cls.server.call("POST", path, body, token=token)
        assert status == 201, (path, status, answer)
        return answer

    @classmethod
    def user(cls, name, grants):
        cls.create("/api/v1/users", {"name": name, "grants": [{"namespace": scope, "role": role} for scope, role in grants.items()]})
        return Caller(name, cls.create("/api/v1/tokens", {"user": name, "name": "matrix"})["secret"], grants)

    @classmethod
    def join(cls, node):
        token = cls.create("/api/v1/agents/join-tokens", {"uses": 1})["secret"]
        return cls.create("/api/v1/agents/join", {"node": node}, token)["secret"]

    @classmethod
    def make_callers(cls):
        cls.owner = cls.user("ann", {OURS: "runner"})
        job = cls.create("/api/v1/jobs", {"command": ["sh", "-c", "echo $TRAINYARD_TOKEN_FILE; exec sleep 600"], "namespace": OURS},
                         cls.owner.token)
        cls.running = job["id"]
        people = [cls.user(f"{role}-{word}", {scope: role}) for role in ROLES for word, scope in (("here", OURS), ("everywhere", "*"))]
        # The destructive calls come last, so whoever may do more comes later.
        people.sort(key=lambda caller: (list(caller.grants) == ["*"], ROLES.index(list(caller.grants.values())[0])))
        cls.attempt = Caller("an attempt of a job", cls.attempt_token(1), {OURS: "runner"}, "attempt")
        join = cls.create("/api/v1/agents/join-tokens", {"uses": 1000})["secret"]
        return [Caller("nobody", ""), Caller("an unknown token", "ty_pat_0123456789abcdef_" + "0" * 43),
                cls.attempt, Caller("an agent", cls.join("one"), kind="agent"), Caller("a join token", join, kind="join"),
                cls.user("stranger", {THEIRS: "admin"}), *people]

    @classmethod
    def attempt_token(cls, number, job=None):
        """The token of this attempt of the running job, or another. A log shows no token: it is taken from where the job finds it."""
        job = job or cls.running
        wait_until(lambda: cls.server.job(job)["attempt"] == number, what=f"attempt {number} of the running job")
        path = wait_until(lambda: cls.server.logs(job, attempt=number).strip(), what="the output of that attempt")
        return pathlib.Path(path).read_text().strip()

    # --- what they ask for

    @classmethod
    def make_objects(cls):
        cls.create("/api/v1/models/digits/versions", {"source": "ty://models/none"})
        workflow = "workflow: w\ntasks:\n  a:\n    job: {command: [sleep, '600'], hold: true}\n"
        status, run = cls.server.call("POST", "/api/v1/workflows:run", workflow.encode(), {"Content-Type": "application/yaml"})
        assert status == 201, run
        cls.workflow = run["id"]
        cls.run_id = cls.server.job(cls.running)["run_id"]

    def fresh_name(self):
        PermissionMatrixTest.made += 1
        return f"made-{self.made}"

    def fresh_user(self):
        name = self.fresh_name()
        self.create("/api/v1/users", {"name": name})
        return name

    def job_for(self, method, path):
        """A job of another user in our namespace; one of its own for what may end it."""
        if method == "GET":
            return self.running
        job = self.create("/api/v1/jobs", STANDALONE_SPEC, self.owner.token)["id"]
        if path.endswith("/retry"):
            self.server.call("DELETE", f"/api/v1/jobs/{job}")
        return job

    def thing_for(self, method, path, before, name):
        """What fills the parameter {name} that stands behind the segment `before`; none: nothing is known of it."""
        known = {
            ("jobs", "id"): lambda: self.job_for(method, path),
            ("users", "name"): lambda: "ann" if method != "DELETE" or path.endswith("/grants") else self.fresh_user(),
            ("tokens", "id"): lambda: self.create("/api/v1/tokens", {"user": "ann", "name": "other"})["token"]["id"],
            ("queues", "name"): lambda: "default",
            ("nodes", "name"): lambda: "local",
            ("pools", "name"): lambda: "default",
            ("models", "name"): lambda: "digits",
            ("aliases", "alias"): lambda: "best",
            ("runs", "id"): lambda: self.run_id,
            ("workflows", "id"): lambda: self.workflow,
            ("trials", "job"): lambda: self.running,
            ("ranks", "job"): lambda: self.running,
        }
        if (before, name) == ("agents", "node"):
            node = "one" if method == "POST" else self.fresh_name()
            if node != "one":
                self.join(node)
            return node
        return known[before, name]() if (before, name) in known else None

    def fill(self, method, path):
        """The path with things that exist, and whether all of it is known to exist."""
        simple = {"attempt": "1", "rank": "0", "step": "1", "version": "1", "what": "log"}
        segments, known = [], True
        for segment in path.split("/"):
            if segment.startswith("{"):
                name = segment.strip("{}")
                thing = self.thing_for(method, path, segments[-1], name)
                known = known and (thing is not None or name in simple)
                segment = urllib.parse.quote(str(thing if thing is not None else simple.get(name, "none")), safe="")
            segments.append(segment)
        return "/".join(segments), known

    def bodies(self, path, caller):
        """Bodies that a handler takes, so that it comes to the question who asks; others are made from the schema."""
        owner_or = {"user": "ann", "name": "x"}
        draft = {"layer": "raw", "idempotency_key": self.fresh_name(), "schema": [{"name": "x", "type": "int64"}], "rows": 0,
                 "content_hash": "0" * 32, "files": [FILE]}
        if caller.kind == "attempt":
            draft.update(job_id=self.running, attempt=1)
        return {
            "/api/v1/jobs": STANDALONE_SPEC,
            "/api/v1/jobs:batch": {"jobs": [STANDALONE_SPEC]},
            "/api/v1/what-if": {"submit": {"command": ["true"], "namespace": OURS}},
            "/api/v1/users": {"name": self.fresh_name(), "grants": [{"namespace": OURS, "role": "viewer"}]},
            "/api/v1/users/{name}/grants": {"namespace": OURS, "role": "runner"},
            "/api/v1/tokens": owner_or,
            "/api/v1/agents/join": {"node": self.fresh_name()},
            "/api/v1/datasets/{name}/versions": draft,
            "/api/v1/workflows:run": {"workflow": "w", "tasks": {"a": {"job": {"command": ["true"], "hold": True}}}},
            "/api/v1/models/{name}/versions": {"source": "ty://models/none"},
            "/api/v1/models/{name}/aliases/{alias}": {"version": 1},
        }.get(path)

    def example(self, schema):
        """A value that a schema takes: what is required and nothing else."""
        if "$ref" in schema:
            return self.example(self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self.example(schema[key][0])
        if "enum" in schema or "default" in schema:
            return schema["default"] if "default" in schema else schema["enum"][0]
        kind = schema.get("type", "object")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return {name: self.example(schema["properties"][name]) for name in schema.get("required", [])}
        simple = {"string": "x", "integer": schema.get("minimum", 1), "number": schema.get("minimum", 1), "boolean": True, "array": []}
        return simple[kind]

    def request_for(self, path, method, operation, caller):
        target, known = self.fill(method, path)
        query = {}
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query" and (parameter.get("required") or parameter["name"] == "namespace"):
                query[parameter["name"]] = OURS if parameter["name"] == "namespace" else "viewer"
            elif parameter["in"] == "query" and parameter["name"] == "follow":
                query["follow"] = "0"
        if query:
            target += "?" + urllib.parse.urlencode(query)
        body = None
        if "requestBody" in operation:
            body = self.bodies(path, caller)
            if body is None:
                schema = next(iter(operation["requestBody"]["content"].values()))["schema"]
                body = {} if schema == {"type": "string"} else self.example(schema)
        return target, body, known

    def status_of(self, caller, method, target, body):
        """The status alone: an answer that streams is not waited for."""
        address = urllib.parse.urlsplit(self.server.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        try:
            headers = {"Authorization": "Bearer " + caller.token} if caller.token else {}
            text = None if body is None else json.dumps(body).encode()
            if text is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, target, text, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    # --- the questions

    def operations(self):
        """(path, method, operation) with those last that take away what others need: jobs of a drained node, and the server."""
        found = [(path, method.upper(), operation) for path, methods in self.document["paths"].items()
                 for method, operation in methods.items()]
        ends = ("stop", "drain", "shutdown")
        return sorted(found, key=lambda entry: next((i + 1 for i, word in enumerate(ends) if word in entry[0].lower()), 0))

    @staticmethod
    def declared(operation):
        """The role that an operation says it takes, and whether it must be held everywhere."""
        role = operation["x-permission"]
        return role, "any" if role in ("viewer", "runner") or operation.get("x-namespaced") else "every"

    def problems_of(self, path, method, operation, row):
        name = operation["operationId"]
        shuts_down = "shutdown" in path
        for caller in self.callers:
            expected = caller.allowed(row)
            if shuts_down and expected and caller is not self.callers[-1]:
                continue
            target, body, known = self.request_for(path, method, operation, caller)
            status = self.status_of(caller, method, target, body)
            asked = f"{name}: {caller.name} asked {method} {target} and was answered {status}"
            if str(status) not in operation["responses"]:
                yield asked + ", which the document does not know"
            if caller.kind == "person" and not caller.grants:
                if status != 401:
                    yield asked + "; without a known token it is 401"
            elif row.others is None and (expected or caller.kind == "attempt"):
                # The table does not know it yet: whom it admits beyond its role is not known.
                if status >= 500:
                    yield asked
            elif not expected:
                if status not in (403, 404):
                    yield asked + "; it may not do that: 403, or 404 where it may not know"
            elif status in (401, 403) or status >= 500 or (status == 404 and known and "trials" not in path):
                yield asked + "; it may do that"

    def test_every_operation_admits_exactly_those_whom_the_table_names(self):
        problems, asked = [], 0
        for path, method, operation in self.operations():
            declared = Row(operation["operationId"], *self.declared(operation), "no", None)
            row = self.table.get(operation["operationId"], declared)
            problems += self.problems_of(path, method, operation, row)
            asked += 1
            if "drain" in path:
                # The job went; it comes again as another attempt.
                self.server.call("POST", "/api/v1/nodes/local/uncordon", {})
                self.server.call("POST", "/api/v1/queues/default/start", {})
                self.attempt.token = self.attempt_token(2)
        self.assertGreater(asked, 60)
        self.assertFalse(problems, "\n" + "\n".join(problems))

    def test_routes_outside_the_document_admit_those_they_are_for(self):
        problems = []
        for method, path, body, words in OTHER_ROUTES:
            row = Row(path, *words.split())
            for caller in self.callers:
                status = self.status_of(caller, method, path, body)
                expected = (401,) if not caller.grants and caller.kind == "person" else (403, 404)
                if caller.allowed(row) == (status in (401, 403)) or not (caller.allowed(row) or status in expected):
                    problems.append(f"{caller.name} asked {method} {path}, which takes {words}, and was answered {status}")
        self.assertFalse(problems, "\n" + "\n".join(problems))

    def ask_of_run(self, caller, method, path, body, run):
        body = None if body is None else {"run_id": run, **body}
        return self.status_of(caller, method, path.format(run=run), body)

    def test_runs_admit_those_of_their_namespace(self):
        problems = []
        for method, path, body, words in RUN_ROUTES:
            row = Row(path, *words.split())
            # Last those who may, so that what a call takes away was there for the others.
            for caller in sorted(self.callers, key=lambda caller: caller.allowed(row)):
                if caller.allowed(row) and path.endswith("/delete-tag"):
                    self.ask_of_run(self.owner, *SET_TAG, self.run_id)
                status = self.ask_of_run(caller, method, path, body, self.run_id)
                known = bool(caller.grants) or caller.kind != "person"
                sees = known and caller.kind in ("person", "attempt") and caller.holds("viewer", OURS)
                expected = 200 if caller.allowed(row) else 401 if not known else 403 if sees or caller.kind in ("agent", "join") else 404
                if status != expected:
                    problems.append(f"{caller.name} asked {method} {path}, and was answered {status}, not {expected}")
        self.assertFalse(problems, "\n" + "\n".join(problems))

    def test_attempt_of_another_job_reads_runs_of_its_namespace_and_writes_none_of_them(self):
        for namespace, answers in ((OURS, {"runner": 403, "viewer": 200}), (THEIRS, {"runner": 404, "viewer": 404})):
            spec = {"command": ["sh", "-c", "echo $TRAINYARD_TOKEN_FILE; exec sleep 600"], "namespace": namespace}
            job = self.create("/api/v1/jobs", {**spec, "resources": {"cpu": 0.1}})
            other = Caller("an attempt in " + namespace, self.attempt_token(1, job["id"]), {namespace: "runner"}, "attempt")
            self.ask_of_run(self.owner, "PUT", RUN_ROUTES[-1][1], {}, self.run_id)
            for method, path, body, words in RUN_ROUTES:
                status = self.ask_of_run(other, method, path, body, self.run_id)
                self.assertEqual(status, answers[words.split()[0]], (other.name, method, path))
            self.assertEqual(self.ask_of_run(other, *SET_TAG, job["run_id"]), 200)
            _, listed = self.server.call("GET", "/api/v1/runs", token=other.token)
            self.assertEqual({run["namespace"] for run in listed["runs"]}, {namespace})
            self.server.call("POST", f"/api/v1/jobs/{job['id']}/cancel", {})

    def test_document_declares_what_the_table_says(self):
        problems = []
        declared = {}
        for path, method, operation in self.operations():
            name = operation["operationId"]
            declared[name] = role, where = self.declared(operation)
            row = self.table.get(name)
            if row is None:
                line = Row(name, role, where, "no", "-").text()
                problems.append(f"{method} {path} has no line in {TABLE.name}; find out whom it must admit, then add one like: {line}")
            elif (row.role, row.where) != declared[name]:
                problems.append(f"{name} declares {role} {where}, and {TABLE.name} says: {row.text()}")
            needs_token = operation["security"] != []
            if not {"401", "403"} <= set(operation["responses"]) or not needs_token:
                problems.append(f"{name} does not document 401, 403 and the token that it takes")
        problems += [f"{TABLE.name} names {name}, which is not served" for name in self.table if name not in declared]
        self.assertFalse(problems, "\n" + "\n".join(problems))

    def test_owner_may_do_with_an_own_job_what_takes_an_operator_else(self):
        for action, expected in (("hold", 200), ("priority", 200), ("release", 200), ("cancel", 202)):
            job = self.create("/api/v1/jobs", STANDALONE_SPEC, self.owner.token)["id"]
            body = {"priority": 1} if action == "priority" else {}
            self.assertEqual(self.status_of(self.owner, "POST", f"/api/v1/jobs/{job}/{action}", body), expected, action)


# The test that shuts the server down is the last one; the owner's jobs leave no room for others.
def load_tests(loader, _, __):
    names = ("test_document_declares_what_the_table_says", "test_runs_admit_those_of_their_namespace",
             "test_attempt_of_another_job_reads_runs_of_its_namespace_and_writes_none_of_them",
             "test_owner_may_do_with_an_own_job_what_takes_an_operator_else",
             "test_routes_outside_the_document_admit_those_they_are_for",
             "test_every_operation_admits_exactly_those_whom_the_table_names")
    return unittest.TestSuite(PermissionMatrixTest(name) for name in names)


if __name__ == "__main__":
    unittest.main()
