"""Who may do what at a real server: users and tokens in namespaces, agents with credentials of their own, TLS, and none at all."""

import json
import os
import pathlib
import signal
import ssl
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

from harness import BIN, Server, process_alive, wait_until, warden_of


class Node:
    """An agent on a directory of its own."""

    def __init__(self, server, token, *options):
        self.directory = tempfile.TemporaryDirectory(prefix="trainyard-agent-")
        root = pathlib.Path(self.directory.name)
        (root / "token").write_text(token)
        self.data = root / "data"
        self.output = open(root / "output", "w+", encoding="utf-8")
        server_options = [] if "--join" in options else ["--join", server.url]
        self.process = subprocess.Popen([BIN / "trainyard-agent", *server_options, "--token-file", root / "token", "--data", self.data,
                                         *options], stdout=self.output, stderr=self.output)

    def text(self):
        self.output.flush()
        self.output.seek(0)
        return self.output.read()

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        warden = warden_of(self.data)
        if warden:
            os.kill(warden, signal.SIGKILL)
        self.output.close()
        self.directory.cleanup()


class UsersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        for name, grants in (("ann", [{"namespace": "vision", "role": "runner"}]), ("vera", [{"namespace": "vision", "role": "viewer"}]),
                             ("otto", [{"namespace": "vision", "role": "operator"}]), ("eve", [{"namespace": "text", "role": "admin"}])):
            status, body = cls.server.call("POST", "/api/v1/users", {"name": name, "grants": grants})
            assert status == 201, body

    def token(self, user):
        status, body = self.server.call("POST", "/api/v1/tokens", {"user": user, "name": "test"})
        self.assertEqual(status, 201, body)
        return body["secret"], body["token"]["id"]

    def call(self, user, method, path, body=None):
        return self.server.call(method, path, body, token=self.token(user)[0])[0]

    def test_roles_hold_in_their_namespace_and_nowhere_else(self):
        spec = {"command": ["sleep", "60"], "namespace": "vision", "hold": True}
        self.assertEqual([self.call(user, "POST", "/api/v1/jobs", spec) for user in ("vera", "eve", "ann")], [403, 403, 201])
        job = self.server.call("GET", "/api/v1/jobs?owner=ann")[1]["jobs"][0]["id"]
        path = f"/api/v1/jobs/{job}"
        self.assertEqual([self.call(user, "GET", path) for user in ("vera", "ann", "otto", "eve")], [200, 200, 200, 404])
        self.assertEqual([self.call(user, "GET", path + "/logs") for user in ("vera", "eve")], [200, 404])
        self.assertEqual([self.call(user, "POST", path + "/release") for user in ("vera", "eve")], [403, 404])
        self.assertEqual(self.call("eve", "GET", "/api/v1/jobs"), 200)
        self.assertEqual(self.server.call("GET", "/api/v1/jobs", token=self.token("eve")[0])[1]["jobs"], [])
        self.assertEqual([self.call(user, "POST", "/api/v1/nodes/local/cordon") for user in ("ann", "otto", "eve")], [403, 403, 403])
        self.assertEqual(self.call("otto", "DELETE", path), 202)

    def test_revoked_token_is_refused_at_once_and_its_stream_ends(self):
        secret, number = self.token("vera")
        request = urllib.request.Request(self.server.url + "/api/v1/jobs")
        request.add_header("Authorization", "Bearer " + secret)
        job = self.server.submit("sleep", "60", namespace="vision", hold=True)
        stream = urllib.request.Request(self.server.url + f"/api/v1/jobs/{job}/events",
                                        headers={"Authorization": "Bearer " + secret, "Accept": "text/event-stream"})
        with urllib.request.urlopen(stream, timeout=20) as events:
            events.readline()
            self.assertEqual(self.server.call("DELETE", f"/api/v1/tokens/{number}")[0], 200)
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=20)
            self.assertEqual(refused.exception.code, 401)
            events.read()  # Ends, and does not wait for the time-out.

    def test_changes_are_audited_with_who_made_them(self):
        self.token("ann")
        records = self.server.call("GET", "/api/v1/audit")[1]["records"]
        self.assertTrue(any(record["who"] == "admin" and record["action"].startswith("token.issue") for record in records), records)
        self.assertNotIn("ty_pat_", json.dumps(records))

    def test_administrator_of_the_data_directory_makes_tokens_and_cannot_be_locked_out(self):
        token = self.server.root / "ci.token"
        made = self.server.cli("token", "create", "--name", "ci", "--role", "runner", "--expires-in", "30d", "--out", str(token))
        self.assertEqual(made.returncode, 0, made.stderr)
        secret = token.read_text().strip()
        who = self.server.call("GET", "/api/v1/whoami", token=secret)
        self.assertEqual((who[0], who[1]["name"], who[1]["grants"]), (200, "admin", [{"namespace": "*", "role": "runner"}]), who)
        self.assertEqual(self.server.call("POST", "/api/v1/jobs", {"command": ["true"], "hold": True}, token=secret)[0], 201)
        self.assertEqual(self.server.call("POST", "/api/v1/nodes/local/cordon", token=secret)[0], 403)
        for method, path, body in (("PATCH", "/api/v1/users/admin", {"disabled": True}), ("DELETE", "/api/v1/users/admin", None),
                                   ("DELETE", "/api/v1/users/admin/grants?namespace=*", None)):
            status, problem = self.server.call(method, path, body)
            self.assertEqual((status, problem["code"]), (409, "access.last_admin"), (method, path))
        self.server.kill()
        self.server.restart()
        self.assertEqual(self.server.call("GET", "/api/v1/whoami", token=secret)[1]["name"], "admin")

    def test_users_and_tokens_survive_a_kill(self):
        secret, _ = self.token("vera")
        self.server.kill()
        self.server.restart()
        self.assertEqual(self.server.call("GET", "/api/v1/jobs", token=secret)[0], 200)


class AgentsTest(unittest.TestCase):
    def setUp(self):
        self.server = Server("server")
        self.addCleanup(self.server.close)

    def join_token(self):
        status, body = self.server.call("POST", "/api/v1/agents/join-tokens", {"labels": {"zone": "west"}})
        self.assertEqual(status, 201, body)
        return body["secret"]

    def node(self, token, *options):
        node = Node(self.server, token, *options)
        self.addCleanup(node.close)
        return node

    def ready_nodes(self):
        return [node["name"] for node in self.server.call("GET", "/api/v1/nodes")[1]["nodes"] if node["ready"]]

    def test_machine_joins_once_runs_jobs_and_its_output_arrives(self):
        token = self.join_token()
        node = self.node(token, "--node", "one")
        wait_until(lambda: self.ready_nodes() == ["one"], what="the node")
        job = self.server.submit("sh", "-c", "echo out; echo err >&2; echo '{\"event\": \"result\", \"values\": {\"x\": 1}}' >&3")
        ended = self.server.wait(job)
        self.assertEqual(ended["state"], "SUCCEEDED", ended)
        self.assertEqual(sorted(self.server.logs(job).split()), ["err", "out"])
        self.assertEqual(ended["result"], {"x": 1})
        self.assertEqual((node.data / "credential.json").stat().st_mode & 0o777, 0o600)

        second = self.node(token, "--node", "two")
        wait_until(lambda: second.process.poll() is not None, what="the end of the second agent")
        self.assertIn("join token", second.text())

    def test_credential_of_an_agent_reaches_nothing_else(self):
        node = self.node(self.join_token(), "--node", "one")
        wait_until(lambda: self.ready_nodes() == ["one"], what="the node")
        secret = json.loads((node.data / "credential.json").read_text())["secret"]
        for method, path in (("GET", "/api/v1/jobs"), ("POST", "/api/v1/jobs"), ("GET", "/api/v1/nodes"), ("GET", "/api/v1/users"),
                             ("POST", "/api/v1/agents/two/sync"), ("GET", "/metrics")):
            status, body = self.server.call(method, path, {} if method == "POST" else None, token=secret)
            self.assertEqual(status, 403, (method, path, body))
        status, body = self.server.call("GET", "/api/v1/agents/ranks/1/1/0/log", token=secret)
        self.assertEqual((status, body["code"]), (409, "lease.fenced"))

    def test_drained_node_gives_its_jobs_to_another(self):
        self.node(self.join_token(), "--node", "one", "--cpus", "1")
        wait_until(lambda: self.ready_nodes() == ["one"], what="the first node")
        job = self.server.submit("sleep", "600", resources={"cpu": 1}, limits={"grace": "1s"})
        wait_until(lambda: self.server.job(job)["state"] == "RUNNING", what="the job")
        self.node(self.join_token(), "--node", "two", "--cpus", "1")
        wait_until(lambda: len(self.ready_nodes()) == 2, what="the second node")
        self.assertEqual(self.server.call("POST", "/api/v1/nodes/one/drain", {"reason": "repair"})[1]["state"], "draining")
        wait_until(lambda: self.server.job(job)["state"] == "RUNNING" and self.server.job(job)["ranks"][0]["node"] == "two",
                   what="the job on the other node")
        self.server.kill()
        self.server.restart()
        wait_until(lambda: len(self.ready_nodes()) == 2, what="both nodes after the restart")
        states = {node["name"]: node["state"] for node in self.server.call("GET", "/api/v1/nodes")[1]["nodes"]}
        self.assertEqual(states, {"one": "draining", "two": "ready"})
        self.assertEqual(self.server.job(job)["ranks"][0]["node"], "two", "a restart moves nothing")


    def test_agent_that_drains_when_it_is_stopped_leaves_once_its_jobs_run_elsewhere(self):
        first = self.node(self.join_token(), "--node", "one", "--cpus", "1", "--drain-on-stop")
        wait_until(lambda: self.ready_nodes() == ["one"], what="the first node")
        job = self.server.submit("sleep", "600", resources={"cpu": 1}, limits={"grace": "1s"})
        wait_until(lambda: self.server.job(job)["state"] == "RUNNING", what="the job")
        warden = warden_of(first.data)
        self.node(self.join_token(), "--node", "two", "--cpus", "1")
        wait_until(lambda: len(self.ready_nodes()) == 2, what="the second node")
        first.process.terminate()
        self.assertEqual(first.process.wait(timeout=30), 0, first.text())
        self.assertIn("draining", first.text())
        wait_until(lambda: not process_alive(warden), what="the end of the warden")
        wait_until(lambda: self.server.job(job)["state"] == "RUNNING", what="the job again")
        moved = self.server.job(job)
        self.assertEqual((moved["ranks"][0]["node"], moved["attempt"]), ("two", 2))
        # The node has left, so that it may be taken off the list before its lease is over.
        self.assertEqual(self.server.call("DELETE", "/api/v1/nodes/one")[0], 200)
        self.assertEqual([node["name"] for node in self.server.call("GET", "/api/v1/nodes")[1]["nodes"]], ["two"])

    def test_node_of_a_name_that_no_route_can_name_is_refused(self):
        for name in ("bad name!", "a/b"):
            agent = self.node(self.join_token(), "--node", name)
            self.assertEqual(agent.process.wait(timeout=20), 2, agent.text())
            self.assertIn("access.node_name", agent.text())
        status, problem = self.server.call("POST", "/api/v1/agents/bad%20name!/sync", {})
        self.assertEqual((status, problem["code"]), (400, "access.node_name"))

    def test_agent_says_that_it_serves_once_it_does(self):
        closed = self.node("ty_pat_any", "--join", "http://127.0.0.1:1", "--node", "away")
        stranger = self.node("ty_pat_" + "0" * 32, "--node", "stranger")
        wrong_join = self.node("ty_join_0_0", "--node", "other")
        good = self.node(self.join_token(), "--node", "one")
        wait_until(lambda: "node one serves" in good.text(), what="the line of the node that serves")
        self.assertEqual(wrong_join.process.wait(timeout=20), 1)
        self.assertIn("agent.join_refused", wrong_join.text())
        self.assertEqual(stranger.process.wait(timeout=30), 1, stranger.text())
        self.assertIn("refused, trying again", stranger.text())
        self.assertIn("error: auth.invalid", stranger.text())
        self.assertIsNone(closed.process.poll(), "a server that is away may come back")
        self.assertIn("tries to reach http://127.0.0.1:1", closed.text())
        for agent in (closed, stranger, wrong_join):
            self.assertNotIn("serves", agent.text())


class LostNodeTest(unittest.TestCase):
    def test_node_that_is_gone_is_taken_off_the_list_and_joins_anew(self):
        server = Server("server", "--lease", "1s")
        self.addCleanup(server.close)

        def join(*options):
            secret = server.call("POST", "/api/v1/agents/join-tokens", {})[1]["secret"]
            node = Node(server, secret, "--node", "one", *options)
            self.addCleanup(node.close)
            return node

        def ready():
            status, node = server.call("GET", "/api/v1/nodes/one")
            return status == 200 and node["ready"]

        node = join()
        wait_until(ready, what="the node")
        self.assertEqual(server.call("DELETE", "/api/v1/nodes/one")[1]["code"], "node.in_use")
        self.assertEqual(server.call("DELETE", "/api/v1/nodes/two")[0], 404)
        server.call("POST", "/api/v1/nodes/one/cordon", {"reason": "disk is failing"})
        node.process.kill()
        node.process.wait()
        wait_until(lambda: not ready(), what="the end of its lease")
        status, gone = server.call("DELETE", "/api/v1/nodes/one")
        self.assertEqual((status, gone["name"], gone["state"]), (200, "one", "down"))
        self.assertEqual(server.call("GET", "/api/v1/nodes")[1]["nodes"], [])

        # Its credential is over, and a new machine of the name needs no token of the administrator for this very name.
        back = subprocess.run([BIN / "trainyard-agent", "--join", server.url, "--data", node.data, "--node", "one"], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(back.returncode, 1, back.stdout)
        self.assertIn("auth.invalid", back.stderr)
        join()
        wait_until(ready, what="the new node")
        self.assertEqual(server.call("GET", "/api/v1/nodes/one")[1]["state"], "ready", "nobody wants anything of it any more")


class ListeningTest(unittest.TestCase):
    def refused(self, *options):
        with tempfile.TemporaryDirectory() as data:
            done = subprocess.run([BIN / "trainyard", "server", "--data", data, "--port", "0", *options], capture_output=True, text=True,
                                  timeout=30, check=False)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    def test_public_address_without_tls_is_refused_unless_told(self):
        self.assertIn("--insecure-public", self.refused("--host", "0.0.0.0"))
        with Server("server", "--host", "0.0.0.0", "--insecure-public") as server:
            self.assertTrue(process_alive(server.process.pid))

    def test_faulty_options_say_what_is_wrong(self):
        for options, words in (
                (("--tls-cert", "/yard.pem"), ("--tls-cert needs --tls-key, which is missing",)),
                (("--host", "nope.invalid"), ("net.unknown_host", "cannot be resolved", "nope.invalid")),
                (("--lease", "1ms"), ("--lease must lie between 500ms and 1d",)),
                (("--takeover", "0s"), ("--takeover must lie between 1s and 1h",)),
                (("--node", "a/b"), ("access.node_name", "--node")),
                (("--tls-cert", "/no/yard.pem", "--tls-key", "/no/yard.key"), ("net.certificate", "/no/yard.pem"))):
            said = self.refused(*options)
            for word in words:
                self.assertIn(word, said, options)
            self.assertNotIn("choose another port", said, options)
            self.assertNotIn("Other machines", said, options)

    def test_open_server_warns_at_every_start_and_shows_no_token(self):
        with Server("--auth", "none") as server:
            said = (server.root / "server.log").read_text()
            self.assertIn("WARNING: --auth none", said)
            self.assertIn("start it without --auth none", said)
            self.assertIn('"event":"access.open"', said)
            for word in ("token ", "login", "asks for"):
                self.assertNotIn(word, said.split("WARNING")[0])
            server.kill()
            server.restart()
            self.assertEqual((server.root / "server.log").read_text().count("WARNING: --auth none"), 2)
        with Server() as server:
            self.assertNotIn("WARNING", (server.root / "server.log").read_text())
            self.assertIn("asks for the token", (server.root / "server.log").read_text())

    def test_open_server_listens_on_loopback_only_and_takes_everybody(self):
        self.assertIn("loopback", self.refused("--auth", "none", "--host", "0.0.0.0", "--insecure-public"))
        with Server("--auth", "none") as server:
            with urllib.request.urlopen(server.url + "/api/v1/nodes", timeout=20) as response:
                self.assertEqual(response.status, 200)
            request = urllib.request.Request(server.url + "/api/v1/jobs", data=b"{}", headers={"Origin": "http://evil.example"})
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=20)
            self.assertEqual(refused.exception.code, 403)

    def test_certificate_makes_it_tls_13(self):
        with tempfile.TemporaryDirectory() as directory:
            certificate, key = f"{directory}/cert.pem", f"{directory}/key.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out",
                            certificate], check=True, capture_output=True)
            with Server("server", "--tls-cert", certificate, "--tls-key", key) as server:
                self.assertTrue(server.url.startswith("https://"))
                context = ssl.create_default_context(cafile=certificate)
                request = urllib.request.Request(server.url + "/api/v1/nodes", headers={"Authorization": "Bearer " + server.token})
                with urllib.request.urlopen(request, timeout=20, context=context) as response:
                    self.assertEqual(response.status, 200)
                context.maximum_version = ssl.TLSVersion.TLSv1_2
                with self.assertRaises(urllib.error.URLError):
                    urllib.request.urlopen(request, timeout=20, context=context)


if __name__ == "__main__":
    unittest.main()
