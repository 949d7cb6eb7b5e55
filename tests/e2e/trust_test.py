"""An installation whose certificate nobody knows but those who were told: command line, agent and jobs with an authority of its own."""

import json
import os
import pathlib
import signal
import ssl
import subprocess
import tempfile
import unittest
import urllib.request

from harness import BIN, Server, wait_until, warden_of
from tiny_data import write_tiny_dataset


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Authority:
    """A certificate authority, and certificates that it signed."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.certificate, self.key = self.directory / "ca.pem", self.directory / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=our own",
                "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, names="DNS:localhost,IP:127.0.0.1"):
        """(certificate, key) for a server of these names."""
        certificate, key, request = (self.directory / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out",
                request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-days", "2", "-extfile", extensions, "-out",
                certificate)
        return certificate, key


def clean_environment(home, **more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRAINYARD_", "XDG_"))}
    return dict(kept, HOME=str(home), **more)


class TrustTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="trainyard-trust-")
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.root = pathlib.Path(cls.scratch.name)
        cls.authority = Authority(cls.root)
        cls.certificate, cls.key = cls.authority.issue("server")

    def server(self, *options):
        server = Server(*options, "--tls-cert", str(self.certificate), "--tls-key", str(self.key))
        self.addCleanup(server.close)
        self.assertTrue(server.url.startswith("https://"))
        return server

    def cli(self, server, *words, **variables):
        return subprocess.run([BIN / "trainyard", "--url", server.url, "--token-file", server.ready["token_file"], *map(str, words)],
                              capture_output=True, text=True, timeout=60, check=False, cwd=self.root,
                              env=clean_environment(self.root, **variables))

    def test_command_line_trusts_whom_it_is_told_to(self):
        server = self.server("server")
        refused = self.cli(server, "job", "ls")
        self.assertEqual(refused.returncode, 6, refused.stderr)
        self.assertIn("net.tls", refused.stderr)
        self.assertIn("--ca-file", refused.stderr)
        authority = str(self.authority.certificate)
        for words, variables in ((("--ca-file", authority), {}), ((), {"TRAINYARD_CA_FILE": authority}),
                                 (("--ca-file", self.certificate), {})):
            done = self.cli(server, *words, "job", "ls", **variables)
            self.assertEqual(done.returncode, 0, done.stderr)
        stranger = Authority(tempfile.mkdtemp(dir=self.root))
        self.assertIn("net.tls", self.cli(server, "--ca-file", stranger.certificate, "job", "ls").stderr)
        missing = self.cli(server, "--ca-file", self.root / "none.pem", "job", "ls")
        self.assertIn("net.certificate", missing.stderr)
        self.assertIn("none.pem", missing.stderr)

    def test_command_line_on_the_machine_of_the_server_trusts_its_certificate(self):
        server = self.server("server")
        home = self.root / "home"
        (home / ".local/share").mkdir(parents=True)
        (home / ".local/share/trainyard").symlink_to(server.data)
        done = subprocess.run([BIN / "trainyard", "job", "ls"], capture_output=True, text=True, timeout=60, check=False,
                              env=clean_environment(home))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_project_may_not_say_whom_to_trust(self):
        server = self.server("server")
        project = self.root / "project"
        project.mkdir()
        (project / "trainyard.yaml").write_text(f"ca_file: {self.authority.certificate}\n")
        done = subprocess.run([BIN / "trainyard", "--url", server.url, "job", "ls"], capture_output=True, text=True, timeout=60,
                              check=False, cwd=project, env=clean_environment(self.root))
        self.assertIn("config.not_in_project", done.stderr)

    def check_jobs(self, run):
        """Jobs are told whom to trust, and the programs of the platform do: `run` is a call of the command line."""
        script = ('test -n "$TRAINYARD_CA_FILE" && test "$MLFLOW_TRACKING_SERVER_CERT_PATH" = "$TRAINYARD_CA_FILE" && '
                  'curl -sf --cacert "$TRAINYARD_CA_FILE" -H "Authorization: Bearer $(cat $TRAINYARD_TOKEN_FILE)" '
                  '"$TRAINYARD_API_URL/api/v1/whoami"')
        done = run("job", "submit", "--follow", "--", "sh", "-c", script)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn('"name":"job:', done.stdout)

        # An ingest publishes its dataset by a call of its own to the server.
        directory = write_tiny_dataset(self.root / "images", train_rows=20, test_rows=10)
        sources = [{"path": f"{directory}/{part}-{kind}-ubyte.gz", "format": form, "split": split}
                   for part, split in (("train", "train"), ("t10k", "test"))
                   for kind, form in (("images-idx3", "idx_images"), ("labels-idx1", "idx_labels"))]
        spec = self.root / "ingest.json"
        spec.write_text(json.dumps({"kind": "ingest", "resources": {"memory": "256MiB"}, "outputs": {"data": "tiny/raw"},
                                    "config": {"dataset": "tiny", "sources": sources}}))
        done = run("job", "submit", "--follow", "-f", spec)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("tiny", run("dataset", "ls").stdout)

    def test_jobs_of_the_embedded_agent_reach_the_server(self):
        server = self.server()
        self.check_jobs(lambda *words: self.cli(server, "--ca-file", self.authority.certificate, *words))

    def check_url_of_job(self, server, expected):
        """A job is told `expected` as URL, and reaches the server by it."""
        job = server.submit("sh", "-c", 'echo "$TRAINYARD_API_URL $MLFLOW_TRACKING_URI" && '
                            'curl -sSf --cacert "$TRAINYARD_CA_FILE" "$TRAINYARD_API_URL/healthz" >&2')
        ended = server.wait(job)
        text = server.logs(job)
        self.assertIn(f"{expected} {expected}\n", text)
        self.assertEqual(ended["state"], "SUCCEEDED", text)

    def wildcard_server(self, names, *options):
        """A server on all addresses, whose certificate has these names; calls of the harness trust our authority."""
        self.certificate, self.key = self.authority.issue("wildcard" + str(len(names)), names)
        context = ssl.create_default_context(cafile=self.authority.certificate)
        urllib.request.install_opener(urllib.request.build_opener(urllib.request.HTTPSHandler(context=context)))
        self.addCleanup(urllib.request.install_opener, None)
        return self.server("--host", "0.0.0.0", *options)

    def test_server_on_all_addresses_is_reached_by_a_name_of_its_certificate(self):
        server = self.wildcard_server("DNS:yard.invalid,DNS:localhost")
        port = server.url.rsplit(":", 1)[1]
        self.assertEqual(server.url, f"https://localhost:{port}", "127.0.0.1 is not in the certificate")
        said = (server.root / "server.log").read_text()
        self.assertIn(f"serves at https://yard.invalid:{port}\n", said, "the first name is told to people")
        self.check_url_of_job(server, server.url)
        home = self.root / "home-of-wildcard"
        (home / ".local/share").mkdir(parents=True)
        (home / ".local/share/trainyard").symlink_to(server.data)
        done = subprocess.run([BIN / "trainyard", "node", "ls"], capture_output=True, text=True, timeout=60, check=False,
                              env=clean_environment(home))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("local", done.stdout)

    def test_jobs_are_told_the_url_by_which_their_agent_reached_the_server(self):
        server = self.wildcard_server("DNS:localhost,IP:127.0.0.1", "--no-agent")
        self.assertTrue(server.url.startswith("https://127.0.0.1:"), server.url)
        data = self.root / "agent-of-wildcard"
        token = self.root / "wildcard.token"
        token.write_text(server.token)
        url = server.url.replace("127.0.0.1", "localhost")
        agent = subprocess.Popen([BIN / "trainyard-agent", "--join", url + "/", "--token-file", token, "--data", data, "--node", "one",
                                  "--ca-file", self.authority.certificate], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 env=clean_environment(self.root))

        def end():
            agent.kill()
            agent.wait()
            if warden := warden_of(data):
                os.kill(warden, signal.SIGKILL)
        self.addCleanup(end)
        wait_until(lambda: server.call("GET", "/api/v1/nodes/one")[0] == 200, what="the node")
        self.check_url_of_job(server, url)
        # A public address that the server was given counts everywhere.
        server.kill()
        server.options += ["--public-url", f"https://127.0.0.1:{server.url.rsplit(':', 1)[1]}"]
        server.restart()
        wait_until(lambda: server.call("GET", "/api/v1/nodes/one")[0] == 200, what="the node again")
        self.check_url_of_job(server, server.options[-1])

    def test_agent_and_its_jobs_trust_the_authority_they_are_given(self):
        server = self.server("server")
        trusted = ("--ca-file", self.authority.certificate)
        token = self.root / "join.token"
        done = self.cli(server, *trusted, "token", "join", "--out", token)
        self.assertEqual(done.returncode, 0, done.stderr)
        data = self.root / "agent"

        def agent(*options):
            return subprocess.Popen([BIN / "trainyard", "agent", "--join", server.url, "--token-file", token, "--data", data, "--node",
                                     "one", *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                    env=clean_environment(self.root))

        distrusting = agent()
        self.assertIn("net.tls", distrusting.stdout.readline())
        distrusting.kill()
        distrusting.communicate()
        process = agent(*trusted)
        try:
            wait_until(lambda: "one" in self.cli(server, *trusted, "node", "ls").stdout, what="the node")
            self.check_jobs(lambda *words: self.cli(server, *trusted, *words))
        finally:
            process.terminate()
            process.communicate(timeout=20)
            warden = warden_of(data)
            if warden:
                os.kill(warden, signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()
