"""The client against a real HTTP server that misbehaves as it is told to."""

import email
import hashlib
import http.server
import io
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import defib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOON_S = 20
TOKEN = "secret-of-the-test"


class Request:
    """What came to the server."""

    def __init__(self, handler):
        self.method = handler.command
        self.path = handler.path
        self.headers = handler.headers
        self.authorization = handler.headers.get("Authorization")
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))

    def json(self):
        return json.loads(self.body.decode())

    def parts(self):
        """Of a form: name → (file name, media type, bytes)."""
        head = "Content-Type: {}\r\n\r\n".format(self.headers["Content-Type"]).encode()
        found = {}
        for part in email.message_from_bytes(head + self.body).get_payload():
            name = part.get_param("name", header="content-disposition")
            found[name] = (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        return found


class Server:
    """Answers each request with the next step of a script, the last of which stays.

    A step is a function of the handler, which may answer, cut, stand or lie.
    """

    def __init__(self):
        self.scripts = {}
        self.requests = []
        self.ended = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.command == "POST" and outer.skip_body:
                    return outer.steps(self.command, self.path)(self)
                outer.requests.append(Request(self))
                outer.steps(self.command, self.path)(self)

            do_POST = do_DELETE = do_GET

            def log_message(self, *_):
                pass

        class Listening(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, address):
                pass  # A client that goes away is what is tested.

        self.skip_body = False
        self.http = Listening(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:{}".format(self.http.server_address[1])
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def on(self, method, path, *steps):
        self.scripts[method, path] = list(steps)

    def steps(self, method, path):
        script = self.scripts.get((method, path))
        if script is None:
            return answer({"error": {"message": "nothing is here"}}, 404)
        return script.pop(0) if len(script) > 1 else script[0]

    def asked(self, method, path):
        return [one for one in self.requests if (one.method, one.path) == (method, path)]

    def end(self):
        self.ended.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join(SOON_S)


def answer(value, status=200, headers=None):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()

    def step(handler):
        handler.send_response(status)
        for name, text in (headers or {}).items():
            handler.send_header(name, text)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return step


def cut(handler):
    """Close with a reset, without a word."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()


def half(value):
    """Promise all of it, send half of it."""

    def step(handler):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2])
        handler.wfile.flush()

    return step


def stream(*pieces, chunked=False):
    """Events as they stand; a function as a piece is called."""

    def step(handler):
        if chunked:
            handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        handler.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("X-Unused", "1")))
        handler.end_headers()
        for piece in pieces:
            if callable(piece):
                piece(handler)
                continue
            data = piece.encode()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
            handler.wfile.flush()
        if chunked:
            cut(handler)

    return step


def event(id, kind, data):
    return "id: {}\nevent: {}\ndata: {}\n\n".format(id, kind, json.dumps(data))


def job(state="queued", id="j1", **more):
    return {"id": id, "state": state, "attempts": [], "result": None, "error": None, "progress": None, **more}


def output(name, data, path, **changed):
    return {"name": name, "sha256": hashlib.sha256(data).hexdigest(),
            "media_type": "text/plain", "url": path, **changed}


class Case(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.end)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def client(self, timeout=SOON_S, **more):
        return defib.Client(self.server.url, token=TOKEN, timeout=timeout, **more)

    def stand(self, handler):
        """Say nothing until the test is over."""
        self.server.ended.wait(SOON_S * 3)

    def job_in(self, state, **more):
        self.server.on("GET", "/v1/jobs/j1", answer(job(state, **more)))
        return self.client().job("j1")


class Submit(Case):
    def test_what_is_sent_and_what_comes_back(self):
        self.server.on("POST", "/v1/jobs", answer(job(), 201))
        made = self.client().submit(
            {"prompt": "a cat", "steps": 4}, route="default", timeout=60, max_attempts=3,
            priority=2, deadline="10m",
        )
        self.assertEqual((made.id, made.state, made.attempts, made.is_over), ("j1", "queued", [], False))
        (request,) = self.server.requests
        self.assertEqual(request.json(), {
            "route": "default", "inputs": {"prompt": "a cat", "steps": 4}, "timeout": "60s",
            "max_attempts": 3, "priority": 2, "deadline": "10m",
        })
        self.assertEqual(request.authorization, "Bearer " + TOKEN)
        self.assertEqual(request.headers["Content-Type"], "application/json")

    def test_times_are_seconds_or_text(self):
        self.server.on("POST", "/v1/jobs", answer(job()))
        client = self.client()
        for given, sent in ((60, "60s"), (0.25, "0.25s"), (86400, "86400s"), (1e6, "1000000s"), ("5m", "5m")):
            client.submit(timeout=given)
            self.assertEqual(self.server.requests[-1].json()["timeout"], sent)
        for bad in (0, -1, "", True, float("nan"), float("inf")):
            with self.assertRaises(ValueError, msg=bad):
                client.submit(timeout=bad)

    def test_files_go_beside_the_job_from_paths_and_open_files(self):
        self.server.on("POST", "/v1/jobs", answer(job(), 201))
        path = os.path.join(self.folder, 'a "page".png')
        with open(path, "wb") as file:
            file.write(b"\x89PNG\r\n--not a boundary\r\n\x00")
        mask = io.BytesIO(b"skip this" + b"mask")
        mask.seek(9)
        self.client().submit({"steps": 2}, backend="b", files={"image": path, "mask": mask})
        (request,) = self.server.requests
        parts = request.parts()
        self.assertEqual(list(parts), ["job", "image", "mask"])
        self.assertEqual(parts["job"][:2], (None, "application/json"))
        self.assertEqual(json.loads(parts["job"][2].decode()), {"inputs": {"steps": 2}, "backend": "b"})
        self.assertEqual(parts["image"], ("a %22page%22.png", "image/png", b"\x89PNG\r\n--not a boundary\r\n\x00"))
        self.assertEqual(parts["mask"], ("mask", "application/octet-stream", b"mask"))

    def test_a_large_file_is_not_held_in_memory(self):
        self.server.skip_body = True
        sums = []

        def count(handler):
            left, digest = int(handler.headers["Content-Length"]), hashlib.sha256()
            while left:
                piece = handler.rfile.read(min(left, 1 << 20))
                left -= len(piece)
                digest.update(piece)
            sums.append(digest.hexdigest())
            answer(job())(handler)

        self.server.on("POST", "/v1/jobs", count)
        path = os.path.join(self.folder, "large")
        with open(path, "wb") as file:
            file.truncate(256 << 20)
        program = (
            "import resource, sys, defib\n"
            "client = defib.Client(sys.argv[1])\n"
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "client.submit(files={'large': sys.argv[2]})\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, self.server.url, path], env=dict(os.environ, PYTHONPATH=ROOT),
            stdout=subprocess.PIPE, timeout=SOON_S * 3, check=True,
        )
        self.assertEqual(len(sums), 1)
        self.assertLess(int(done.stdout), 64 << 10, "KiB more than before")

    def test_after_a_lost_connection_it_is_the_same_job_with_its_whole_file(self):
        self.server.on("POST", "/v1/jobs", cut, half(job()), answer(job(), 201))
        file = io.BytesIO(b"picture")
        self.assertEqual(self.client().submit(files={"image": file}).id, "j1")
        asked = self.server.asked("POST", "/v1/jobs")
        self.assertEqual(len(asked), 3)
        keys = {one.headers["Idempotency-Key"] for one in asked}
        self.assertEqual(len(keys), 1)
        self.assertGreater(len(keys.pop()), 20)
        self.assertEqual([one.parts()["image"][2] for one in asked], [b"picture"] * 3)

    def test_each_job_has_a_key_of_its_own_or_the_one_that_is_given(self):
        self.server.on("POST", "/v1/jobs", answer(job()))
        client = self.client()
        for key in (None, None, "order-7"):
            client.submit(idempotency_key=key)
        keys = [one.headers["Idempotency-Key"] for one in self.server.requests]
        self.assertEqual(len(set(keys)), 3)
        self.assertEqual(keys[2], "order-7")
        with self.assertRaises(ValueError):
            client.submit(idempotency_key="two\r\nlines: 1")

    def test_a_full_server_is_asked_again_when_it_says(self):
        full = {"error": {"message": "the queue is full"}}
        self.server.on("POST", "/v1/jobs", answer(full, 429, {"Retry-After": "1"}),
                       answer(full, 503), answer(job(), 201))
        begun = time.monotonic()
        self.assertEqual(self.client().submit().id, "j1")
        self.assertGreaterEqual(time.monotonic() - begun, 1)
        self.assertEqual(len(self.server.requests), 3)

    def test_it_does_not_wait_where_there_is_no_time_for_it(self):
        full = {"error": {"message": "the queue is full"}}
        self.server.on("POST", "/v1/jobs", answer(full, 429, {"Retry-After": "3600"}))
        with self.assertRaises(defib.ServerError) as raised:
            self.client().submit()
        self.assertEqual((raised.exception.status, raised.exception.retry_after), (429, 3600))
        self.assertEqual(raised.exception.message, "the queue is full")
        self.assertEqual(len(self.server.requests), 1)

    def test_what_is_refused_is_said_once_in_the_words_of_the_server(self):
        for status in (400, 401, 404, 413, 422):
            self.server.on("POST", "/v1/jobs", answer({"error": {"message": "steps must be at most 10"}}, status))
            self.server.requests.clear()
            with self.assertRaises(defib.ServerError) as raised:
                self.client().submit({"steps": 99})
            self.assertEqual((raised.exception.status, raised.exception.message), (status, "steps must be at most 10"))
            self.assertIn("steps must be at most 10", str(raised.exception))
            self.assertEqual(len(self.server.requests), 1)

    def test_a_refusal_in_the_middle_of_a_large_file_is_heard(self):
        self.server.skip_body = True

        def refuse(handler):
            answer({"error": {"message": "a file may have 1 MiB"}}, 413)(handler)
            handler.wfile.flush()
            # As servers do, so that the answer is not lost in a reset.
            handler.connection.shutdown(socket.SHUT_WR)
            while handler.connection.recv(1 << 20):
                pass

        self.server.on("POST", "/v1/jobs", refuse)
        with self.assertRaises(defib.ServerError) as raised:
            self.client().submit(files={"image": self.large_file()})
        self.assertEqual((raised.exception.status, raised.exception.message), (413, "a file may have 1 MiB"))

    def large_file(self, size=30 << 20):
        path = os.path.join(self.folder, "large")
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def test_a_server_that_does_not_take_the_file_is_given_up(self):
        self.server.skip_body = True
        self.server.on("POST", "/v1/jobs", self.stand)
        with self.assertRaisesRegex(defib.ServerError, "timed out"):
            self.client(timeout=0.5).submit(files={"image": self.large_file()})

    def test_a_file_that_takes_longer_than_the_timeout_arrives(self):
        """Also where the kernel has taken the rest of it long before the server gets that."""
        self.server.skip_body = True
        self.server.http.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        took = []

        def read_slowly(handler):
            begun, left = time.monotonic(), int(handler.headers["Content-Length"])
            while left:
                left -= len(handler.rfile.read(min(left, 1 << 17)))
                self.server.ended.wait(0.06)
            took.append(time.monotonic() - begun)
            answer(job())(handler)

        self.server.on("POST", "/v1/jobs", read_slowly)
        self.client(timeout=1).submit(files={"image": self.large_file(6 << 20)})
        self.assertEqual(len(took), 1)
        self.assertGreater(took[0], 2.5)

    def test_errors_inside_the_server_are_tried_three_times(self):
        self.server.on("POST", "/v1/jobs", answer(b"<h1>oops</h1>", 500), answer(b"oops", 500), answer(job()))
        self.assertEqual(self.client().submit().id, "j1")
        self.server.on("POST", "/v1/jobs", answer(b"<h1>oops</h1>", 500))
        self.server.requests.clear()
        with self.assertRaises(defib.ServerError) as raised:
            self.client().submit()
        self.assertEqual(raised.exception.status, 500)
        self.assertIn("oops", str(raised.exception))
        self.assertEqual(len(self.server.requests), 3)

    def test_what_cannot_be_sent_is_refused_here(self):
        client = self.client()
        read, write = os.pipe()
        self.addCleanup(os.close, write)
        pipe = os.path.join(self.folder, "pipe")
        os.mkfifo(pipe)
        with open(read, "rb") as unseekable:
            for kind, arguments, part in (
                (TypeError, {"inputs": {"image": io.BytesIO()}}, "files"),
                (ValueError, {"inputs": {"scale": float("nan")}}, "JSON"),
                (TypeError, {"files": {"image": io.StringIO("text")}}, "binary"),
                (TypeError, {"files": {"image": b"bytes"}}, "binary"),
                (ValueError, {"files": {"image": unseekable}}, "twice"),
                (ValueError, {"files": {"image": pipe}}, "regular"),
                (ValueError, {"files": {"job": io.BytesIO()}}, '"job"'),
                (FileNotFoundError, {"files": {"image": os.path.join(self.folder, "missing")}}, "missing"),
            ):
                with self.assertRaisesRegex(kind, part, msg=arguments):
                    client.submit(**arguments)
        self.assertEqual(self.server.requests, [])

    def test_a_file_that_shrinks_while_it_is_sent_is_an_error_of_its_own(self):
        class Shrinking(io.BytesIO):
            def read(self, size=-1):
                return b"" if size > 0 else super().read(size)

        self.server.skip_body = True
        self.server.on("POST", "/v1/jobs", self.stand)
        with self.assertRaisesRegex(OSError, "shorter"):
            self.client().submit(files={"image": Shrinking(b"12345")})


class Unreachable(Case):
    def test_a_server_that_is_not_there_is_told_after_its_time(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = "http://127.0.0.1:{}".format(free.getsockname()[1])
            begun = time.monotonic()
            with self.assertRaises(defib.ServerError) as raised:
                defib.Client(url, timeout=0.5).job("j1")
        self.assertLess(time.monotonic() - begun, SOON_S)
        self.assertIsNone(raised.exception.status)
        self.assertIn(url, str(raised.exception))
        self.assertIn("refused", str(raised.exception))
        self.assertIsInstance(raised.exception.__cause__, ConnectionRefusedError)

    def test_a_server_that_starts_late_is_waited_for(self):
        free = socket.socket()
        free.bind(("127.0.0.1", 0))
        url = "http://127.0.0.1:{}".format(free.getsockname()[1])
        answers = []
        asking = threading.Thread(target=lambda: answers.append(defib.Client(url, timeout=SOON_S).job("j1")))
        asking.start()
        free.listen()
        connection, _ = free.accept()
        connection.recv(65536)
        data = json.dumps(job("running")).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data))
        connection.close()
        asking.join(SOON_S)
        free.close()
        self.assertEqual([one.state for one in answers], ["running"])

    def test_a_server_that_says_nothing_is_given_up(self):
        self.server.on("GET", "/v1/jobs/j1", self.stand)
        with self.assertRaises(defib.ServerError) as raised:
            self.client(timeout=0.5).job("j1")
        self.assertIn("timed out", str(raised.exception))

    def test_a_server_that_drips_is_given_up_too(self):
        for head in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"):
            def drip(handler, head=head):
                handler.wfile.write(head)
                while not self.server.ended.wait(0.05):
                    handler.wfile.write(b" ")

            self.server.on("GET", "/v1/jobs/j1", drip)
            begun = time.monotonic()
            with self.assertRaises(defib.ServerError):
                self.client(timeout=1).job("j1")
            self.assertLess(time.monotonic() - begun, SOON_S / 2)

    def test_something_else_than_defib_is_recognised(self):
        for value, part in ((b"<html>hello</html>", "not JSON"), ([1], "no job"), ({"id": "j1"}, "no job"),
                            ({"id": 7, "state": "queued"}, "no job"), (b"", "not JSON"), (b'{"id":"j1"', "not JSON")):
            self.server.on("GET", "/v1/jobs/j1", answer(value))
            with self.assertRaisesRegex(defib.ServerError, part):
                self.client().job("j1")

    def test_a_redirect_is_not_followed_with_the_token(self):
        elsewhere = Server()
        self.addCleanup(elsewhere.end)
        self.server.on("GET", "/v1/jobs/j1", answer({}, 302, {"Location": elsewhere.url + "/v1/jobs/j1"}))
        with self.assertRaisesRegex(defib.ServerError, "as url"):
            self.client().job("j1")
        self.assertEqual(elsewhere.requests, [])

    @unittest.skipUnless(shutil.which("openssl"), "openssl makes the certificate")
    def test_over_tls_a_certificate_must_be_trusted(self):
        certificate, key = (os.path.join(self.folder, name) for name in ("certificate", "key"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost", "-out", certificate, "-keyout", key],
            check=True, stderr=subprocess.DEVNULL, timeout=SOON_S,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.http.socket = context.wrap_socket(self.server.http.socket, server_side=True)
        url = self.server.url.replace("http://127.0.0.1", "https://localhost")
        self.server.on("GET", "/v1/jobs/j1", self.stand, answer(job("running")))
        self.server.on("GET", "/v1/jobs/j1/events", stream(event(1, "running", {})),
                       stream(event(2, "succeeded", {})))
        begun = time.monotonic()
        with self.assertRaisesRegex(defib.ServerError, "not trusted"):
            defib.Client(url, timeout=SOON_S).health()
        known = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = certificate
        self.addCleanup(os.environ.pop, "SSL_CERT_FILE", None)
        if known is not None:
            self.addCleanup(os.environ.__setitem__, "SSL_CERT_FILE", known)
        with self.assertRaisesRegex(defib.ServerError, "timed out"):
            defib.Client(url, timeout=1).job("j1")
        self.assertLess(time.monotonic() - begun, SOON_S)
        running = defib.Client(url, timeout=SOON_S).job("j1")
        self.assertEqual([one.kind for one in running.events()], ["running", "succeeded"])

    def test_health_is_asked_once(self):
        bad, well = ({"status": status, "queued": 0} for status in ("degraded", "ok"))
        self.server.on("GET", "/healthz", answer(bad, 503), answer(well), answer({"error": {"message": "who?"}}, 401),
                       answer({"error": {"message": "proxy"}}, 503), cut, answer(well))
        self.assertEqual(self.client().health(), bad)
        self.assertEqual(self.client().health(), well)
        for told in ("who", "no health", "no answer"):
            with self.assertRaisesRegex(defib.ServerError, told):
                self.client().health()
        self.assertEqual(len(self.server.requests), 5)

    def test_where_the_server_is_comes_from_the_environment(self):
        for name, value in (("DEFIB_SERVER", self.server.url + "/prefix/"), ("DEFIB_TOKEN", "from-environment")):
            known = os.environ.get(name)
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name, None)
            if known is not None:
                self.addCleanup(os.environ.__setitem__, name, known)
        self.server.on("GET", "/prefix/v1/jobs/a%2Fb", answer(job(id="a/b")))
        self.assertEqual(defib.Client().job("a/b").id, "a/b")
        self.assertEqual(self.server.requests[0].authorization, "Bearer from-environment")
        self.assertNotIn("from-environment", repr(vars(defib.Client())) + repr(defib.Client()))
        os.environ.pop("DEFIB_SERVER")
        self.assertEqual(repr(defib.Client()), "<defib.Client http://127.0.0.1:8808>")

    def test_addresses_and_tokens_that_make_no_sense_are_refused(self):
        for url in ("ftp://x", "http://", "http://x:port", "http://user:pass@x", "http://x?a=1"):
            with self.assertRaises(ValueError, msg=url) as raised:
                defib.Client(url)
            self.assertNotIn("pass@", str(raised.exception))
        with self.assertRaises(ValueError) as raised:
            defib.Client(token="two\nlines")
        self.assertNotIn("lines", str(raised.exception))
        for timeout in (0, -1, float("nan"), float("inf")):
            with self.assertRaises(ValueError, msg=timeout):
                defib.Client(timeout=timeout)

    def test_lists_come_bare_or_named(self):
        self.server.on("GET", "/v1/jobs", answer([job(), job(id="j2")]))
        self.server.on("GET", "/v1/jobs?state=failed", answer({"jobs": [job("failed", "j3")]}))
        self.server.on("GET", "/v1/backends", answer({"backends": [{"name": "detector"}]}))
        client = self.client()
        self.assertEqual([one.id for one in client.jobs()], ["j1", "j2"])
        self.server.on("GET", "/v1/jobs?state=failed&limit=1", answer({"jobs": []}))
        self.assertEqual([one.id for one in client.jobs(state="failed")], ["j3"])
        self.assertEqual(client.jobs(state="failed", limit=1), [])
        self.assertEqual(client.backends(), [{"name": "detector"}])
        self.server.on("GET", "/v1/backends", answer({"error": None}))
        with self.assertRaisesRegex(defib.ServerError, "no list of backends"):
            client.backends()


DONE = {"outputs": [], "values": {"output": "hello"}}
ERROR = {"cause": "out-of-memory", "explanation": "It asked for 30 GiB of 24.", "report": {"schema": 1}}


class Wait(Case):
    EVENTS = "/v1/jobs/j1/events"

    def states(self, *states):
        self.server.on("GET", "/v1/jobs/j1", *states)

    def test_a_cut_stream_is_taken_up_behind_its_last_event(self):
        for chunked in (False, True):
            self.server.requests.clear()
            # Progress comes without an id of its own.
            self.server.on(
                "GET", self.EVENTS,
                stream(event(1, "running", {"attempt": 1}), event(2, "stage", {}),
                       "event: progress\ndata: {\"done\": 1}\n\n",
                       "id: 3\nevent: progress\ndata: {\"do", cut, chunked=chunked),
                cut,
                stream(event(3, "progress", {"done": 2}), event(4, "succeeded", {}), chunked=chunked),
            )
            self.states(answer(job("running")))
            events = list(self.client().job("j1").events())
            self.assertEqual([(one.id, one.kind) for one in events],
                             [("1", "running"), ("2", "stage"), ("2", "progress"), ("3", "progress"), ("4", "succeeded")])
            self.assertEqual([one.data for one in events[2:4]], [{"done": 1}, {"done": 2}])
            asked = self.server.asked("GET", self.EVENTS)
            self.assertEqual([one.headers.get("Last-Event-ID") for one in asked], [None, "2", "2"])
            self.assertEqual({one.authorization for one in asked}, {"Bearer " + TOKEN})

    def test_events_in_every_form_of_lines_and_pieces(self):
        text = (
            "\ufeff: welcome\r\nretry: 1\r\n\r\nid:1\revent:running\rdata:{\"a\":\rdata: 1}\r\r"
            "event: nothing to say\n\n: still here\n\nid: 2\ndata: \"ünder\"\nunknown: x\n\n"
            "event: cancelled\r\ndata: null\r\n\r\n"
        )
        # One byte at a time, also within letters and line ends.
        def dribble(handler):
            for byte in text.encode():
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()

        self.server.on("GET", self.EVENTS, stream(dribble))
        events = list(self.job_in("running").events())
        self.assertEqual(events, [("1", "running", {"a": 1}), ("2", "message", "ünder"), ("2", "cancelled", None)])

    def test_waiting_ends_with_the_result(self):
        self.states(answer(job("running")), answer(job("succeeded", result=DONE)))
        self.server.on("GET", self.EVENTS, stream(event(1, "running", {}), event(2, "succeeded", {})))
        waited = self.client().job("j1")
        self.assertEqual(waited.values, {})
        self.assertIs(waited.wait(timeout=SOON_S), waited)
        self.assertEqual((waited.state, waited.values, waited.outputs), ("succeeded", {"output": "hello"}, []))
        self.assertEqual(len(self.server.asked("GET", self.EVENTS)), 1)

    def test_a_failure_is_raised_with_its_cause_unless_it_is_not_wanted(self):
        self.server.on("GET", self.EVENTS, stream(event(1, "failed", {})))
        attempts = [{"n": 1, "backend": "detector", "profile": "full", "outcome": "failed", "cause": "out-of-memory"}]
        self.states(answer(job("running")), answer(job("failed", error=ERROR, attempts=attempts)))
        failed = self.client().job("j1")
        with self.assertRaises(defib.JobFailed) as raised:
            failed.wait(timeout=SOON_S)
        error = raised.exception
        self.assertEqual((error.cause, error.explanation), (ERROR["cause"], ERROR["explanation"]))
        self.assertEqual((error.report, error.job), ({"schema": 1}, failed))
        self.assertEqual(str(error), "job j1 failed, out-of-memory: It asked for 30 GiB of 24.")
        self.assertEqual(failed.wait(check=False).attempts, attempts)

    def test_a_cancelled_job_is_a_failure_without_a_cause(self):
        self.server.on("DELETE", "/v1/jobs/j1", answer(job("running")))
        self.server.on("GET", self.EVENTS, stream(event(1, "cancelled", {})))
        self.states(answer(job("running")), answer(job("cancelled")))
        cancelled = self.client().job("j1").cancel()
        self.assertEqual(cancelled.wait(timeout=SOON_S, check=False).state, "cancelled")
        self.assertEqual(len(self.server.asked("DELETE", "/v1/jobs/j1")), 1)
        with self.assertRaisesRegex(defib.JobFailed, "job j1 was cancelled") as raised:
            cancelled.wait()
        self.assertIsNone(raised.exception.cause)

    def test_without_events_it_asks_again_and_again(self):
        html = answer(b"<p>proxy</p>", headers={"Content-Type": "text/html"})
        for no_events in (answer({}, 404), answer({}, 501), html, answer(b"", 204), stream("data: {broken\n\n")):
            self.server.on("GET", self.EVENTS, no_events)
            self.states(answer(job("queued")), answer(job("queued")), answer(job("running")),
                        answer(job("succeeded", result=DONE)))
            self.assertEqual(self.client().job("j1").wait(timeout=SOON_S, poll=0.01).state, "succeeded")
            self.assertEqual(len(self.server.asked("GET", self.EVENTS)), 1)
            self.server.requests.clear()

    def test_events_that_were_thrown_away_are_not_waited_for(self):
        self.server.on("GET", self.EVENTS, stream())
        self.assertEqual(list(self.job_in("succeeded", result=DONE).events()), [])
        self.assertEqual(len(self.server.asked("GET", self.EVENTS)), 2)

    def test_a_busy_server_is_asked_for_events_again(self):
        self.server.on("GET", self.EVENTS, answer({}, 503, {"Retry-After": "0"}), stream(event(1, "succeeded", {})))
        self.assertEqual([one.kind for one in self.job_in("running").events()], ["succeeded"])

    def test_a_silent_stream_is_opened_again(self):
        self.server.on("GET", self.EVENTS, stream(event(7, "running", {}), self.stand),
                       stream(event(8, "succeeded", {})))
        self.states(answer(job("running")), answer(job("succeeded", result=DONE)))
        self.client(timeout=0.5).job("j1").wait(timeout=SOON_S)
        self.assertEqual(self.server.asked("GET", self.EVENTS)[1].headers["Last-Event-ID"], "7")

    def test_the_time_for_waiting_is_kept_whatever_the_server_does(self):
        def ping(handler):
            while not self.server.ended.wait(0.05):
                handler.wfile.write(b": still here\n\n")

        for events in (stream(self.stand), stream(ping), self.stand, cut, stream(), answer({}, 404),
                       answer({}, 503, {"Retry-After": "3600"})):
            self.server.on("GET", self.EVENTS, events)
            waiting = self.job_in("running")
            begun = time.monotonic()
            with self.assertRaisesRegex(TimeoutError, "job j1 is running after 0.5 s"):
                waiting.wait(timeout=0.5)
            took = time.monotonic() - begun
            self.assertGreaterEqual(took, 0.5)
            self.assertLess(took, SOON_S / 2)

    def test_a_server_that_is_gone_ends_the_waiting(self):
        self.server.on("GET", self.EVENTS, stream(event(1, "running", {}), cut), cut)
        self.states(answer(job("running")), cut)
        waiting = self.client(timeout=0.5).job("j1")
        with self.assertRaises(defib.ServerError) as raised:
            waiting.wait()
        self.assertIsNone(raised.exception.status)

    def test_refresh_brings_progress(self):
        self.states(answer(job("running")), answer(job("running", progress={"done": 3, "total": 9, "eta_s": 1.5})))
        running = self.client().job("j1")
        self.assertIsNone(running.progress)
        self.assertEqual(running.refresh().progress, {"done": 3, "total": 9, "eta_s": 1.5})


class Save(Case):
    def save(self, *outputs, folder=None):
        done = self.job_in("succeeded", result={"outputs": list(outputs), "values": {}})
        return done.save(folder or os.path.join(self.folder, "out"))

    def read(self, path):
        with open(path, "rb") as file:
            return file.read()

    def assert_only(self, *names):
        self.assertEqual(sorted(os.listdir(os.path.join(self.folder, "out"))), sorted(names))
        self.assertEqual(os.listdir(self.folder), ["out"])

    def test_files_arrive_whole_under_their_names(self):
        data = os.urandom(300000)
        self.server.on("GET", "/v1/artifacts/a", half(data), cut, answer(data))
        self.server.on("GET", "/v1/artifacts/b", answer(b"boxes"))
        paths = self.save(output("page.png", data, "/v1/artifacts/a"),
                          output("boxes.json", b"boxes", self.server.url + "/v1/artifacts/b"))
        self.assertEqual([os.path.basename(path) for path in paths], ["page.png", "boxes.json"])
        self.assertEqual([self.read(path) for path in paths], [data, b"boxes"])
        self.assertEqual({one.authorization for one in self.server.requests}, {"Bearer " + TOKEN})
        self.assert_only("page.png", "boxes.json")

    def test_other_bytes_than_promised_never_get_the_name(self):
        self.server.on("GET", "/a", answer(b"other"))
        os.mkdir(os.path.join(self.folder, "out"))
        kept = os.path.join(self.folder, "out", "page.png")
        with open(kept, "wb") as file:
            file.write(b"from before")
        with self.assertRaisesRegex(defib.ServerError, "page.png.*not what was promised"):
            self.save(output("page.png", b"promised", "/a"))
        self.assertEqual(self.read(kept), b"from before")
        self.assert_only("page.png")

    def test_no_name_leads_out_of_the_folder(self):
        self.server.on("GET", "/a", answer(b"x"))
        names = ["../../x", "/etc/x", "..", ".", "", "a/../../x", "..\\..\\x", ".hidden", "x\0y\n", "\ud800",
                 "/", "ü" * 300 + ".png", "out/"]
        paths = self.save(*[output(name, b"x", "/a") for name in names])
        self.assertEqual(len(set(paths)), len(names))
        for path in paths:
            self.assertEqual(os.path.dirname(path), os.path.join(self.folder, "out"))
            self.assertFalse(os.path.islink(path))
            self.assertEqual(self.read(path), b"x")
        self.assert_only(*[os.path.basename(path) for path in paths])
        self.assertEqual(os.path.basename(paths[0]), "x")

    def test_a_link_that_lies_there_is_replaced_and_not_followed(self):
        self.server.on("GET", "/a", answer(b"new"))
        out, victim = os.path.join(self.folder, "out"), os.path.join(self.folder, "victim")
        os.mkdir(out)
        with open(victim, "wb") as file:
            file.write(b"precious")
        os.symlink(victim, os.path.join(out, "x"))
        self.save(output("x", b"new", "/a"))
        self.assertEqual(self.read(victim), b"precious")
        self.assertEqual(self.read(os.path.join(out, "x")), b"new")

    def test_the_token_stays_with_its_server(self):
        store = Server()
        self.addCleanup(store.end)
        store.on("GET", "/bucket/a%20b?signature=1", answer(b"x"))
        self.save(output("x", b"x", store.url + "/bucket/a b?signature=1"))
        self.assertEqual([one.authorization for one in store.requests], [None])

    def test_addresses_that_are_none_are_refused(self):
        secret = os.path.join(self.folder, "out", "secret")
        for url in ("file:///etc/passwd", "ftp://127.0.0.1/x", "http://", "http://x:y/", "relative", ""):
            with self.assertRaises(defib.ServerError, msg=url):
                self.save(output("x", b"x", url))
        for broken in ({"name": "x"}, "x", output("x", b"x", "/a", sha256=None)):
            self.server.on("GET", "/a", answer(b"x"))
            with self.assertRaises(defib.ServerError):
                self.save(broken)
        self.assertFalse(os.path.exists(secret))
        self.assert_only()

    def test_missing_and_silent_files_are_told(self):
        with self.assertRaises(defib.ServerError) as raised:
            self.save(output("x", b"x", "/missing"))
        self.assertEqual(raised.exception.status, 404)
        self.server.on("GET", "/a", self.stand)
        done = self.job_in("succeeded", result={"outputs": [output("x", b"x", "/a")], "values": {}})
        done._client._http.timeout = 0.5
        with self.assertRaisesRegex(defib.ServerError, "timed out"):
            done.save(os.path.join(self.folder, "out"))
        self.assert_only()

    def test_a_job_that_is_not_over_has_nothing_to_save(self):
        with self.assertRaisesRegex(RuntimeError, "wait for its end"):
            self.job_in("running").save(self.folder)


if __name__ == "__main__":
    unittest.main()
