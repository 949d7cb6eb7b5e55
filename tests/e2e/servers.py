"""Starts real PostgreSQL and Redis servers for the end-to-end tests: each in its own directory, on a free loopback port, as an unprivileged
user when the tests are root. Only the standard library is used."""

import atexit
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

START_SECONDS = 60
STOP_SECONDS = 20
_running = set()


def _stop_all():
    for server in list(_running):
        server.stop()


atexit.register(_stop_all)


def servers_are_left_out():
    """True when TRAINYARD_WITHOUT_SERVERS=1 is set: tests that need a server skip themselves, loudly."""
    return os.environ.get("TRAINYARD_WITHOUT_SERVERS") == "1"


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _program(*paths):
    found = next((path for path in paths if os.access(path, os.X_OK)), None) or shutil.which(pathlib.Path(paths[0]).name)
    if found is None:
        raise AssertionError(f"{paths[0]} is missing: tools/bootstrap tests installs it, TRAINYARD_WITHOUT_SERVERS=1 skips what needs it")
    return found


def _ask(port, request):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(request)
            return connection.recv(256)
    except OSError:
        return b""


class ServerProcess:
    """A server that runs until `stop`, or until the test program ends, whatever ends it."""

    def __init__(self, directory, user, death_signal, stop_signal):
        self.directory = pathlib.Path(directory).resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data = self.directory / "data"
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.port = None
        self.process = None
        self.death_signal = death_signal
        self.stop_signal = stop_signal
        self.account = None
        if os.getuid() == 0:
            self.account = pwd.getpwnam(user)
            # The server reaches its directory through those above it, which tempfile makes private.
            temporary = pathlib.Path(tempfile.gettempdir()).resolve()
            for folder in [self.directory, *self.directory.parents]:
                if temporary in folder.parents:
                    folder.chmod(folder.stat().st_mode | 0o011)
            os.chown(self.data, self.account.pw_uid, self.account.pw_gid)

    def command(self):
        raise NotImplementedError

    def answers(self):
        raise NotImplementedError

    def _become(self):
        if self.account is not None:
            os.setgroups([])
            os.setgid(self.account.pw_gid)
            os.setuid(self.account.pw_uid)
        # After the change of user, which would undo it. 1 is PR_SET_PDEATHSIG.
        ctypes.CDLL(None).prctl(1, self.death_signal, 0, 0, 0)

    def _run(self, command, log):
        with open(self.directory / log, "ab") as output:
            return subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=self.directory,
                                    start_new_session=True, preexec_fn=self._become)

    def _log(self):
        return (self.directory / "server.log").read_text(errors="replace")[-2000:]

    def start(self):
        """Starts it, again on the same port when it ran before, and waits until it takes commands."""
        first = self.port is None
        deadline = time.monotonic() + START_SECONDS
        while True:
            if first:
                self.port = _free_port()
            self.process = self._run(self.command(), "server.log")
            _running.add(self)
            while self.process.poll() is None and not self.answers():
                if time.monotonic() > deadline:
                    self.kill()
                    raise AssertionError(f"{self.command()[0]} did not start in time: {self._log()}")
                time.sleep(0.01)
            if self.process.poll() is None:
                return self
            # Another process took the port, or what was killed has not ended yet.
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.command()[0]} did not start: {self._log()}")
            time.sleep(0.05)

    def kill(self):
        """kill -9"""
        self._end(signal.SIGKILL)

    def stop(self):
        self._end(self.stop_signal)

    def _end(self, number):
        _running.discard(self)
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Redis(ServerProcess):
    def __init__(self, directory):
        super().__init__(directory, "redis", signal.SIGKILL, signal.SIGTERM)

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self):
        return [_program("/usr/bin/redis-server"), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.data),
                "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"]

    def answers(self):
        return _ask(self.port, b"PING\r\n").startswith(b"+PONG")


class Postgres(ServerProcess):
    PROGRAMS = "/usr/lib/postgresql/15/bin/"
    GREETING = b"\0\3\0\0user\0postgres\0database\0postgres\0\0"

    def __init__(self, directory):
        super().__init__(directory, "postgres", signal.SIGQUIT, signal.SIGINT)
        if (self.data / "PG_VERSION").exists():
            return
        made = self._run([_program(self.PROGRAMS + "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                          "--no-locale", "--no-sync", "--no-instructions"], "server.log")
        if made.wait(START_SECONDS) != 0:
            raise AssertionError(f"initdb failed: {self._log()}")

    @property
    def url(self):
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def command(self):
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=32MB", "dynamic_shared_memory_type=mmap",
                    "jit=off"]
        return [_program(self.PROGRAMS + "postgres"), "-D", str(self.data), "-p", str(self.port),
                *(word for setting in settings for word in ("-c", setting))]

    def answers(self):
        return _ask(self.port, (len(self.GREETING) + 4).to_bytes(4, "big") + self.GREETING).startswith(b"R")


def start_redis(directory):
    """A Redis whose acknowledged writes are synced; has `url`, `stop()`, `kill()` and `start()`."""
    return Redis(directory).start()


def start_postgres(directory):
    """A PostgreSQL with one superuser, "postgres", who needs no password; has `url`, `stop()`, `kill()` and `start()`."""
    return Postgres(directory).start()
