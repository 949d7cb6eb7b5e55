"""Hostile clients on raw sockets: each is answered or cut off within its limits, and others are served all the while."""

import contextlib
import pathlib
import random
import socket
import struct
import threading
import time
import unittest

from harness import Server

SLOW_CONNECTIONS = 150
GOOD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def rss_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the server is gone")


def p99(values):
    return sorted(values)[len(values) * 99 // 100]


class RawSocketTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--no-agent")
        cls.addClassCleanup(cls.server.close)
        cls.port = int(cls.server.url.rsplit(":", 1)[1])
        cls.authorization = f"Authorization: Bearer {cls.server.token}\r\n".encode()

    def connect(self, timeout=20):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        self.addCleanup(connection.close)
        return connection

    def status_of(self, data):
        """The first status that the server answers to `data`; 0 when it closes without a word."""
        connection = self.connect()
        # The server may answer and close before it has read everything.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while b"\r\n" not in answer:
                piece = connection.recv(65536)
                if not piece:
                    break
                answer += piece
        return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0

    def answers_of(self, data, seconds=3):
        """All that the server answers until it closes or falls silent."""
        connection = self.connect(timeout=seconds)
        connection.sendall(data)
        answer = b""
        with contextlib.suppress(ConnectionResetError, socket.timeout):
            while piece := connection.recv(65536):
                answer += piece
        return answer

    def post(self, *head, body=b""):
        return b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n" + self.authorization + b"".join(head) + b"\r\n" + body

    # Malformed heads.

    def test_heads_that_are_no_http_are_refused(self):
        for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
                     b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"G@T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n"):
            with self.subTest(data=data[:40]):
                self.assertIn(self.status_of(data), (0, 400, 404, 421, 431, 505))

    def test_huge_head_is_refused(self):
        self.assertEqual(self.status_of(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n"), 431)
        self.assertEqual(self.status_of(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 100_000 + b"\r\n"), 431)
        self.assertIn(self.status_of(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"), (414, 431))

    def test_foreign_host_and_origin_are_refused(self):
        self.assertIn(self.status_of(b"GET /readyz HTTP/1.1\r\nHost: evil.example\r\n\r\n"), (400, 403, 421))
        self.assertEqual(self.status_of(self.post(b"Origin: http://evil.example\r\nContent-Length: 2\r\n", body=b"{}")), 403)

    # Request smuggling: two readers of one stream must never disagree about where a request ends.

    def test_ambiguous_lengths_are_refused(self):
        hidden = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        ambiguous = {
            "both": (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + hidden),
            "two lengths": (b"Content-Length: 4\r\nContent-Length: 5\r\n", b"aaaaa"),
            "list": (b"Content-Length: 4, 4\r\n", b"aaaa"),
            "sign": (b"Content-Length: +4\r\n", b"aaaa"),
            "negative": (b"Content-Length: -1\r\n", b""),
            "hex": (b"Content-Length: 0x4\r\n", b"aaaa"),
            "overflow": (b"Content-Length: 18446744073709551617\r\n", b"a"),
            "space before colon": (b"Content-Length : 4\r\n", b"aaaa"),
            "folded": (b"X-A: b\r\n Content-Length: 4\r\nContent-Length: 4\r\n", b"aaaa"),
            "odd coding": (b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
            "coding twice": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"0\r\n\r\n"),
            "vertical tab": (b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
            "bare line feeds": (b"Content-Length: 4\nX-A: b\r\n", b"aaaa"),
        }
        for name, (head, body) in ambiguous.items():
            with self.subTest(name):
                answer = self.answers_of(self.post(head, body=body))
                self.assertNotIn(b"HTTP/1.1 200", answer, "what was hidden in the body was answered")
                self.assertIn(answer[9:12], (b"", b"400", b"411", b"413", b"501"))

    def test_chunked_body_that_breaks_its_form_is_refused(self):
        for body in (b"zz\r\naaaa\r\n0\r\n\r\n", b"-1\r\n\r\n", b"ffffffffffffffffff\r\na", b"4\r\naaaaXX0\r\n\r\n",
                     b"4;" + b"e" * 100_000 + b"\r\naaaa\r\n0\r\n\r\n",
                     b"0\r\n" + b"X-T: a\r\n" * 100_000 + b"\r\n"):
            with self.subTest(body=body[:12]):
                self.assertIn(self.status_of(self.post(b"Transfer-Encoding: chunked\r\n", body=body)), (0, 400, 413, 431))

    def test_body_beyond_the_limit_is_refused_before_it_is_read(self):
        self.assertEqual(self.status_of(self.post(b"Content-Length: 10000000000\r\n")), 413)
        storm = b"".join(b"10000\r\n" + b"a" * 0x10000 + b"\r\n" for _ in range(64))
        self.assertIn(self.status_of(self.post(b"Transfer-Encoding: chunked\r\n", body=storm)), (0, 413))

    # Others are served while hostile clients do their worst.

    def serve_others(self, seconds):
        """Latencies in ms of a well-behaved client on new and kept connections."""
        times = []
        kept = self.connect()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for connection in (kept, self.connect()):
                begin = time.perf_counter()
                connection.sendall(GOOD)
                self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 200"))
                times.append((time.perf_counter() - begin) * 1e3)
            connection.close()
        return times

    def slow_heads(self, stop):
        """Many connections that send a byte now and then."""
        connections = [self.connect() for _ in range(SLOW_CONNECTIONS)]
        head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 10_000
        at = 0
        while not stop.wait(0.1):
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.send(head[at:at + 1])
            at += 1

    def chunk_storms(self, stop):
        """Bodies of one-byte chunks, as fast as they go."""
        storm = self.post(b"Transfer-Encoding: chunked\r\n") + b"1\r\na\r\n" * 200_000 + b"0\r\n\r\n"
        while not stop.is_set():
            connection = self.connect()
            with contextlib.suppress(OSError):
                connection.sendall(storm)
                connection.recv(1)
            connection.close()

    def resets(self, stop):
        """Connections that end by RST at any point of a request."""
        chance = random.Random(7)
        request = self.post(b"Content-Length: 1000\r\n", body=b"a" * 1000)
        while not stop.is_set():
            connection = self.connect()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                connection.send(request[:chance.randrange(len(request))])
            connection.close()

    def deaf_readers(self, stop):
        """Pipelined requests whose answers nobody reads."""
        connections = [self.connect() for _ in range(20)]
        for connection in connections:
            connection.setblocking(False)
        while not stop.wait(0.01):
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.send(GOOD * 200)

    def test_others_are_served_during_attacks(self):
        before = rss_mb(self.server.process.pid)
        quiet = p99(self.serve_others(1.5))
        for attack in (self.slow_heads, self.chunk_storms, self.resets, self.deaf_readers):
            with self.subTest(attack.__name__):
                stop = threading.Event()
                attacker = threading.Thread(target=attack, args=(stop,))
                attacker.start()
                try:
                    busy = p99(self.serve_others(3))
                finally:
                    stop.set()
                    attacker.join()
                # Attackers share the cores with the server and with this client.
                self.assertLess(busy, max(20 * quiet, 250), f"p99 without an attack: {quiet:.1f} ms")
                self.assertIsNone(self.server.process.poll())
        self.assertLess(rss_mb(self.server.process.pid), before + 64)

    def test_connections_beyond_the_limit_are_refused_and_room_comes_back(self):
        request = b"GET /api/v1/jobs?limit=1 HTTP/1.1\r\nHost: localhost\r\n" + self.authorization + b"\r\n"
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=5)) for _ in range(1_060)]
            answers = {request: 0, GOOD: 0}
            for number, connection in enumerate(crowd[-20:]):
                data = request if number % 2 == 0 else GOOD
                connection.sendall(data)
                expected = b"HTTP/1.1 503" if data == request else b"HTTP/1.1 200"
                answers[data] += connection.recv(4096).startswith(expected)
            self.assertEqual(answers, {request: 10, GOOD: 10}, "the health of a crowded server can still be asked for")
        deadline = time.monotonic() + 10
        while self.status_of(GOOD) != 200:
            self.assertLess(time.monotonic(), deadline, "no room came back")


if __name__ == "__main__":
    unittest.main()
