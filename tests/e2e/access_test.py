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
        self.process = subprocess.Popen([BIN / "trainyard-agent", "--join", server.url, "--token-file", root / "token", "--data", self.data,
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
