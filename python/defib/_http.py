"""Requests to one server, each wait of them with a bound.

`http.client` limits a single read or write. A server that sends one byte now and then would
hold a caller for ever, so the socket is wrapped: every operation gets what is left of the
time. A connection serves one request; there is nothing stale to find out about.
"""

import email.utils
import fcntl
import http.client
import io
import json
import math
import random
import select
import socket
import ssl
import sys
import termios
import time
import urllib.parse
from typing import Any, BinaryIO, Callable, Dict, Iterable, Iterator, List, Mapping, Optional

from defib._errors import ServerError

PIECE = 65536
ANSWER_LIMIT = 64 << 20
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
LOOK_S = 0.05
# An error inside the server may be a bug of its own: three tries, not all the time there is.
TRIES_AFTER_500 = 3
_AGAIN = (408, 429, 500, 502, 503, 504)


class Lost(Exception):
    """The connection could not be made, was cut, or gave no answer in time."""


class Patience:
    """How long a server that does not answer is waited for, with growing pauses in between.

    `limit` is the caller's own, on the monotonic clock, and never moves; the rest counts from
    the last `renew`.
    """

    def __init__(self, timeout: float, limit: Optional[float] = None) -> None:
        self.timeout = timeout
        self._limit = math.inf if limit is None else limit
        self._tries = 0
        self._began = time.monotonic()
        self.renew()

    def renew(self) -> None:
        """The server has answered."""
        self._until = time.monotonic() + self.timeout

    def extend(self, seconds: float) -> None:
        """Time in which bytes moved is no waiting."""
        self._until += seconds

    def calm_down(self) -> None:
        """It goes on well: the next pause is short again."""
        self._tries = 0

    def left(self) -> float:
        return min(self._until, self._limit) - time.monotonic()

    def pause(self, asked: Optional[float] = None) -> bool:
        """Wait before the next try; False where there is no time for one."""
        grown = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._tries, 10))
        self._tries += 1
        left = self.left()
        # Not all at once: clients that lost the same server come back spread out.
        wait = max(min(grown * random.uniform(0.5, 1.0), left), asked or 0.0)
        if wait > left and self._until < self._limit:
            return False
        time.sleep(max(0.0, min(wait, left)))
        return bool(wait < left)

    def __str__(self) -> str:
        """What was tried, for an error."""
        if self._tries < 2:
            return ""
        return ", tried for {:.1f} s".format(time.monotonic() - self._began)


class Http:
    """A server: where it is, the token for it, and how long it may be silent."""

    def __init__(self, url: str, token: Optional[str], timeout: float) -> None:
        # Sockets take no time above 2^31 milliseconds.
        if not 0 < timeout <= 2e6:
            raise ValueError("timeout must be seconds above 0, not {!r}".format(timeout))
        url = url if "://" in url else "http://" + url
        parts = urllib.parse.urlsplit(url)
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("url must have no user, query or fragment; give a token as token")
        try:
            _origin(url)
        except ValueError as error:
            raise ValueError("url is {!r}: {}".format(url, error)) from None
        token = token.strip() if token else None
        # Said here: http.client would show the whole token.
        if token is not None and not all(" " < letter <= "~" for letter in token):
            raise ValueError("token must be plain ASCII without spaces")
        self.url = urllib.parse.urlunsplit(
            (parts.scheme, parts.netloc, parts.path.rstrip("/"), "", "")
        )
        self.timeout = timeout
        self._token = token

    def ask(
        self,
        method: str,
        path: str,
        body: "Optional[Body]" = None,
        headers: Optional[Mapping[str, str]] = None,
        limit: Optional[float] = None,
        once: bool = False,
        also: Optional[int] = None,
    ) -> Any:
        """The JSON of the answer. Tries again what may help, within the time there is.

        `also` is a status besides those of success that is an answer here.
        """
        patience = Patience(self.timeout, limit)
        errors_inside = 0
        while True:
            asked = None
            try:
                with self.open(method, path, body, headers, patience, also) as answer:
                    data = answer.read_all()
            except Lost as lost:
                error = self.unreachable(patience, lost)
            except ServerError as refused:
                error, asked = refused, refused.retry_after
                errors_inside += refused.status == 500
                if refused.status not in _AGAIN or errors_inside >= TRIES_AFTER_500:
                    raise
            else:
                return self._parsed(data)
            if once or not patience.pause(asked):
                raise error

    def open(
        self,
        method: str,
        path: str,
        body: "Optional[Body]" = None,
        headers: Optional[Mapping[str, str]] = None,
        patience: Optional[Patience] = None,
        also: Optional[int] = None,
    ) -> "Response":
        """One try. Raises Lost, and ServerError for every answer that is no success."""
        patience = patience or Patience(self.timeout)
        url = self.url + path if path.startswith("/") else path
        connection = self._connection(url, patience)
        try:
            response = self._sent(connection, method, url, body, headers or {}, patience)
            answer = Response(connection, response)
            if not 200 <= response.status < 300 and response.status != also:
                raise self._refusal(response, answer.read_all())
            return answer
        except BaseException:
            connection.end()
            raise

    def download(self, path: str, file: BinaryIO, take: Callable[[bytes], Any]) -> None:
        """Write what is there to `file`, from its beginning on each try.

        `take` gets every piece; it is called with b"" when a try begins.
        """
        patience = Patience(self.timeout)
        for tries_left in range(4, -1, -1):
            file.seek(0)
            file.truncate()
            take(b"")
            try:
                with self.open("GET", path, patience=patience) as answer:
                    for piece in answer.pieces(patience):
                        file.write(piece)
                        take(piece)
                return
            except Lost as lost:
                if tries_left == 0 or not patience.pause():
                    raise self.unreachable(patience, lost) from lost.__cause__
            except ServerError as error:
                if error.status not in _AGAIN or tries_left == 0:
                    raise
                if not patience.pause(error.retry_after):
                    raise

    def _connection(self, url: str, patience: Patience) -> "_Plain":
        try:
            scheme, host, port = _origin(url)
        except ValueError as error:
            raise ServerError(None, "{} named {!r}: {}".format(self.url, url, error)) from None
        kind = _Secure if scheme == "https" else _Plain
        # The time for a connection; what comes after it is limited by the wrapped socket.
        connection = kind(host, port, timeout=max(0.001, patience.left()))
        connection.patience = patience
        return connection

    def _sent(
        self,
        connection: "_Plain",
        method: str,
        url: str,
        body: "Optional[Body]",
        headers: Mapping[str, str],
        patience: Patience,
    ) -> http.client.HTTPResponse:
        parts = urllib.parse.urlsplit(url)
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        target = urllib.parse.quote(target, safe="%/?:@!$&'()*+,;=~[]")
        with _losing():
            connection.connect()
            connection.putrequest(method, target)
            for name, value in self._headers(url, body, headers).items():
                connection.putheader(name, value)
            connection.endheaders()
        pieces = iter(()) if body is None else body.pieces()
        # Outside of `_losing`: a file that cannot be read is not a connection that is lost.
        for piece in pieces:
            began = time.monotonic()
            try:
                connection.send(piece)
            except OSError:
                # Refused halfway. Why stands in the answer, if one came; else reading it fails.
                break
            patience.extend(time.monotonic() - began)
        with _losing():
            connection.wait_until_sent()
            return connection.getresponse()

    def _headers(
        self, url: str, body: "Optional[Body]", headers: Mapping[str, str]
    ) -> Dict[str, str]:
        all_of_them = {"Connection": "close", "User-Agent": "defib-python", **headers}
        if body is not None:
            all_of_them["Content-Type"] = body.media_type
            all_of_them["Content-Length"] = str(body.length)
        # Files may lie in a store elsewhere, which must not see the token.
        if self._token is not None and _origin(url) == _origin(self.url):
            all_of_them["Authorization"] = "Bearer " + self._token
        return all_of_them

    def _refusal(self, response: http.client.HTTPResponse, data: bytes) -> ServerError:
        try:
            message = json.loads(data.decode("utf-8"))["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = _shortened(data)
        if 300 <= response.status < 400:
            message = "it points to {}; give that as url".format(response.headers.get("Location"))
        words = "{} answered {} {}".format(self.url, response.status, response.reason).rstrip()
        return ServerError(
            response.status,
            "{}: {}".format(words, message) if message else words,
            message=str(message),
            retry_after=_seconds_of(response.headers.get("Retry-After")),
        )

    def unreachable(self, patience: Patience, lost: Lost) -> ServerError:
        error = ServerError(
            None, "{} gave no answer: {}{}".format(self.url, lost, patience)
        )
        error.__cause__ = lost.__cause__
        return error

    def _parsed(self, data: bytes) -> Any:
        try:
            return json.loads(data.decode("utf-8"))
        except ValueError:
            raise ServerError(
                None,
                "{} answered with something that is not JSON: {}; is it defib serve?".format(
                    self.url, _shortened(data)
                ),
            ) from None


class Response:
    """An answer of success, to be read and closed."""

    def __init__(self, connection: "_Plain", response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self._left = response.length
        self.media_type = (response.headers.get_content_type() or "").lower()

    def __enter__(self) -> "Response":
        return self

    def __exit__(self, *_: Any) -> None:
        self._connection.end()

    def read_some(self) -> bytes:
        """What has come, at least one byte; b"" at the end. Raises Lost where it is cut."""
        size = PIECE if self._left is None else min(PIECE, self._left)
        if size == 0:
            return b""
        with _losing():
            piece = self._response.read1(size)
        if self._left is not None:
            if not piece:
                raise Lost("the answer was cut {} bytes before its end".format(self._left))
            self._left -= len(piece)
        return piece

    def pieces(self, patience: Patience) -> Iterator[bytes]:
        """All of it. As long as bytes come, no patience is used up."""
        while True:
            patience.renew()
            piece = self.read_some()
            if not piece:
                return
            yield piece

    def read_all(self) -> bytes:
        data = bytearray()
        while True:
            piece = self.read_some()
            if not piece:
                return bytes(data)
            data += piece
            if len(data) > ANSWER_LIMIT:
                raise ServerError(None, "an answer is larger than {} bytes".format(ANSWER_LIMIT))


class Body:
    """What is sent with a request: bytes, and open files from where they stand."""

    def __init__(self, media_type: str, parts: Iterable[Any]) -> None:
        self.media_type = media_type
        self._parts: List[Any] = []
        self.length = 0
        for part in parts:
            start, length = (0, len(part)) if isinstance(part, bytes) else _extent(part)
            self._parts.append((part, start, length))
            self.length += length

    def pieces(self) -> Iterator[bytes]:
        """All bytes, again from the start on each call."""
        for part, start, length in self._parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from _pieces_of(part, start, length)


def _extent(file: BinaryIO) -> Any:
    """Where a file stands and how much follows."""
    start = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(start)
    return start, end - start


def _pieces_of(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    file.seek(start)
    while length:
        piece = file.read(min(PIECE, length))
        if not piece:
            raise OSError("the file {} became shorter while it was sent".format(
                getattr(file, "name", "")
            ))
        yield piece
        length -= len(piece)


class _Plain(http.client.HTTPConnection):
    """A connection whose socket is bounded. `end` closes all of it, in any state."""

    patience: Patience
    _bounded: "Optional[_BoundedSocket]" = None
    _answer: Optional[http.client.HTTPResponse] = None

    def connect(self) -> None:
        super().connect()
        self.sock = self._bounded = _BoundedSocket(self.sock, self.patience)

    def wait_until_sent(self) -> None:
        if self._bounded is not None:
            self._bounded.wait_until_sent()

    def getresponse(self) -> http.client.HTTPResponse:
        self._answer = super().getresponse()
        return self._answer

    def end(self) -> None:
        if self._answer is not None:
            self._answer.close()
        self.close()
        if self._bounded is not None:
            self._bounded.end()


class _Secure(_Plain, http.client.HTTPSConnection):
    """The same over TLS: http.client wraps the socket before it is bounded."""


class _BoundedSocket:
    """What http.client needs of a socket; each operation gets the time that is left."""

    def __init__(self, real: socket.socket, patience: Patience) -> None:
        self._real = real
        self._patience = patience
        self._reader: Optional[_BoundedReader] = None

    def sendall(self, data: Any) -> None:
        self._real.settimeout(_some_time(self._patience))
        self._real.sendall(data)

    def wait_until_sent(self) -> None:
        """What the kernel still has to send is no silence of the server.

        On a slow line that are minutes: it takes megabytes at once. Ends early when an answer
        comes, such as a refusal, and when nothing moves for as long as there is patience.
        """
        readable = select.poll()
        readable.register(self._real, select.POLLIN)
        unsent = _unsent(self._real)
        while unsent and self._patience.left() > 0:
            began = time.monotonic()
            if readable.poll(LOOK_S * 1000):
                return
            before, unsent = unsent, _unsent(self._real)
            if unsent < before:
                self._patience.extend(time.monotonic() - began)

    def makefile(self, *_: Any) -> io.BufferedReader:
        self._reader = _BoundedReader(self._real, self._patience)
        return io.BufferedReader(self._reader)

    def close(self) -> None:
        """As with a real one: its reader keeps it open."""
        self._real.close()

    def end(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._real.close()


class _BoundedReader(io.RawIOBase):
    def __init__(self, real: socket.socket, patience: Patience) -> None:
        self._real = real
        self._patience = patience
        # It keeps the socket open until it is closed itself.
        self._file = real.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Optional[int]:
        self._real.settimeout(_some_time(self._patience))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


def _unsent(real: socket.socket) -> int:
    """Bytes that the other side has not got, where the kernel tells."""
    try:
        told = fcntl.ioctl(real.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    except OSError:
        return 0
    return int.from_bytes(told, sys.byteorder)


def _some_time(patience: Patience) -> float:
    left = patience.left()
    if left <= 0:
        raise socket.timeout("timed out")
    return left


class _losing:
    """Turns what a broken connection raises into Lost; what no other try can mend stays."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, _: Any) -> None:
        if isinstance(error, ssl.SSLCertVerificationError):
            raise ServerError(None, "the server's certificate is not trusted: {}".format(error))
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
            raise ServerError(None, "no machine has the server's name: {}".format(error))
        if isinstance(error, (OSError, http.client.HTTPException)):
            raise Lost(str(error) or type(error).__name__) from error


def _origin(url: str) -> Any:
    """Scheme, host and port. Raises ValueError where it is not a whole http address."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address must be like http://127.0.0.1:8808")
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _seconds_of(retry_after: Optional[str]) -> Optional[float]:
    """Seconds, or an HTTP date. None for what is neither."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _shortened(data: bytes) -> str:
    text = " ".join(data[:400].decode("utf-8", "replace").split())
    return text if len(text) <= 200 else text[:200] + "…"
