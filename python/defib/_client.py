"""`Client`: hand a job in to `defib serve`, wait for it, fetch what it made.

A job is handed in with an idempotency key, so that asking again after a lost connection cannot
make two of it. What happens to it comes as server-sent events; after a cut the stream is
taken up behind the last one that arrived.
"""

import contextlib
import hashlib
import json
import mimetypes
import os
import re
import time
import urllib.parse
import uuid
from typing import Any, BinaryIO, Dict, Iterator, List, Mapping, NamedTuple, Optional, Set, Union

from defib import _sse
from defib._errors import JobFailed, ServerError
from defib._http import Body, Http, Lost, Patience

DEFAULT_URL = "http://127.0.0.1:8808"
_OVER = ("succeeded", "failed", "cancelled")
# Whoever names a stream's pause may not switch it off for hours.
_LONGEST_RETRY_S = 10.0

Duration = Union[int, float, str]
File = Union[str, "os.PathLike[str]", BinaryIO]


class _NoEvents(ServerError):
    """The server answers, but not with events that can be used."""


class JobEvent(NamedTuple):
    """One thing that happened to a job: its number in the stream, its kind, what it says."""

    id: Optional[str]
    kind: str
    data: Any


class Client:
    """A `defib serve`. May be used from several threads.

    `url` is `$DEFIB_SERVER` if not given, else http://127.0.0.1:8808; `token` is
    `$DEFIB_TOKEN`. `timeout` is how many seconds the server may stay silent or refuse for the
    moment before a call raises ServerError.
    """

    def __init__(
        self, url: Optional[str] = None, token: Optional[str] = None, timeout: float = 30.0
    ) -> None:
        url = url or os.environ.get("DEFIB_SERVER") or DEFAULT_URL
        self._http = Http(url, token or os.environ.get("DEFIB_TOKEN"), float(timeout))

    def __repr__(self) -> str:
        return "<defib.Client {}>".format(self._http.url)

    def submit(
        self,
        inputs: Optional[Mapping[str, Any]] = None,
        *,
        route: Optional[str] = None,
        backend: Optional[str] = None,
        files: Optional[Mapping[str, File]] = None,
        timeout: Optional[Duration] = None,
        max_attempts: Optional[int] = None,
        priority: Optional[int] = None,
        deadline: Optional[Duration] = None,
        idempotency_key: Optional[str] = None,
    ) -> "Job":
        """Hand in a job and return it, without waiting for its end.

        `files` are inputs that are files: paths, or files open in binary mode, sent from where
        they stand. `timeout` limits one attempt and `deadline` the whole job, in seconds or
        like "60s". A job that is handed in again with the same `idempotency_key` is the same
        job; without one, each call makes a new job, and only one.
        """
        wanted = {
            "route": route,
            "backend": backend,
            "inputs": dict(inputs or {}),
            "timeout": _duration(timeout, "timeout"),
            "max_attempts": max_attempts,
            "priority": priority,
            "deadline": _duration(deadline, "deadline"),
        }
        job = _json({key: value for key, value in wanted.items() if value is not None})
        headers = {"Idempotency-Key": _header(idempotency_key or str(uuid.uuid4()))}
        with contextlib.ExitStack() as opened:
            body = _multipart(job, files, opened) if files else Body("application/json", [job])
            return Job(self, self._http.ask("POST", "/v1/jobs", body, headers))

    def job(self, id: str) -> "Job":
        """The job with this id."""
        return Job(self, self._http.ask("GET", _job_path(id)))

    def jobs(self, state: Optional[str] = None, limit: Optional[int] = None) -> "List[Job]":
        """The newest jobs, or those in this state; how many, the server decides without a limit."""
        wanted = {"state": state, "limit": limit}
        query = urllib.parse.urlencode({key: value for key, value in wanted.items() if value is not None})
        path = "/v1/jobs?" + query if query else "/v1/jobs"
        return [Job(self, data) for data in self._list(path, "jobs")]

    def backends(self) -> List[Dict[str, Any]]:
        """The backends, each as the server describes it."""
        return self._list("/v1/backends", "backends")

    def health(self) -> Dict[str, Any]:
        """What the server says of itself: status, such as "ok" or "degraded", and figures.

        Asked once, without trying again.
        """
        # With 503 it says what is wrong; that is an answer too.
        found = self._http.ask("GET", "/healthz", once=True, also=503)
        if not isinstance(found, dict) or "status" not in found:
            raise ServerError(None, "{} gave no health; is it defib serve?".format(self._http.url))
        return found

    def _list(self, path: str, name: str) -> List[Any]:
        found = self._http.ask("GET", path)
        if isinstance(found, dict):
            found = found.get(name)
        if not isinstance(found, list):
            raise ServerError(None, "{} gave no list of {}".format(self._http.url, name))
        return found

    def _events(self, id: str, limit: Optional[float]) -> Iterator[JobEvent]:
        """The events of a job until its end, over as many connections as it takes."""
        last_id: Optional[str] = None
        is_over = False
        patience = Patience(self._http.timeout, limit)
        while True:
            parser = _sse.Parser(last_id)
            has_come = False
            try:
                headers = {"Accept": "text/event-stream"}
                if last_id is not None:
                    headers["Last-Event-ID"] = _header(last_id)
                for message in self._messages(id, headers, parser, patience):
                    has_come = True
                    last_id = message.id
                    yield JobEvent(message.id, message.kind, _data_of(message))
                    if message.kind in _OVER:
                        return
                cut: Exception = Lost("the stream of events ended before the job")
                pause_s = parser.retry_s and min(parser.retry_s, _LONGEST_RETRY_S)
            except Lost as lost:
                cut, pause_s = lost, None
            except ServerError as error:
                if error.status not in (429, 502, 503, 504):
                    raise
                cut, pause_s = error, error.retry_after
            if has_come:
                patience.calm_down()
            if not patience.pause(pause_s):
                raise self._http.unreachable(patience, cut) if isinstance(cut, Lost) else cut
            if has_come:
                continue
            # A server that has thrown the events away must not be asked for them for ever.
            if is_over:
                return
            is_over = self._get(id, limit)["state"] in _OVER

    def _messages(
        self, id: str, headers: Dict[str, str], parser: _sse.Parser, patience: Patience
    ) -> Iterator[_sse.Message]:
        """The messages of one connection."""
        with self._http.open("GET", _job_path(id) + "/events", None, headers, patience) as answer:
            if answer.media_type != "text/event-stream":
                raise _NoEvents(
                    None, "{} sent {} instead of events".format(self._http.url, answer.media_type)
                )
            try:
                for piece in answer.pieces(patience):
                    yield from parser.feed(piece)
            except ValueError as error:
                raise _NoEvents(None, "{}: {}".format(self._http.url, error)) from None
            finally:
                # Silence of a stream that was open is no refusal.
                patience.renew()

    def _get(self, id: str, limit: Optional[float] = None) -> Dict[str, Any]:
        return _job_data(self._http.ask("GET", _job_path(id), limit=limit))


class Job:
    """A job, as the server last told of it: `refresh` asks again, `wait` waits for its end."""

    def __init__(self, client: Client, data: Any) -> None:
        self._client = client
        self._data = _job_data(data)

    def __repr__(self) -> str:
        return "<defib.Job {} {}>".format(self.id, self.state)

    @property
    def id(self) -> str:
        return str(self._data["id"])

    @property
    def state(self) -> str:
        """queued, running, succeeded, failed or cancelled."""
        return str(self._data["state"])

    @property
    def is_over(self) -> bool:
        return self.state in _OVER

    @property
    def attempts(self) -> List[Dict[str, Any]]:
        """Each try: n, backend, profile, outcome, cause."""
        return self._data.get("attempts") or []

    @property
    def progress(self) -> Optional[Dict[str, Any]]:
        """done, total, eta_s; each None where nothing was told."""
        return self._data.get("progress")

    @property
    def result(self) -> Optional[Dict[str, Any]]:
        """outputs and values of a job that succeeded."""
        return self._data.get("result")

    @property
    def error(self) -> Optional[Dict[str, Any]]:
        """cause, explanation and report of a job that failed."""
        return self._data.get("error")

    @property
    def values(self) -> Dict[str, Any]:
        """What predict returned, as JSON: its dict, or {"output": VALUE}."""
        return (self.result or {}).get("values") or {}

    @property
    def outputs(self) -> List[Dict[str, Any]]:
        """The files it made: name, sha256, media_type, url. `save` fetches them."""
        return (self.result or {}).get("outputs") or []

    def refresh(self) -> "Job":
        """Ask the server how it stands."""
        self._data = self._client._get(self.id)
        return self

    def events(self) -> Iterator[JobEvent]:
        """What happens to it, from its beginning until its end.

        A cut connection is taken up again. Raises ServerError when the server cannot be
        reached for as long as the client's timeout.
        """
        return self._client._events(self.id, None)

    def wait(
        self, timeout: Optional[float] = None, poll: float = 1.0, check: bool = True
    ) -> "Job":
        """Wait for its end and return it.

        Raises JobFailed where it failed or was cancelled, unless `check` is False;
        TimeoutError when it is not over within `timeout` seconds (it goes on; `cancel` ends
        it); ServerError when the server cannot be reached for as long as the client's
        timeout. Where the server gives no events it is asked every `poll` seconds.
        """
        if poll <= 0:
            raise ValueError("poll must be more than 0 seconds, not {!r}".format(poll))
        limit = None if timeout is None else time.monotonic() + timeout
        try:
            self._follow(limit, poll)
        except ServerError as error:
            if limit is None or error.status is not None or time.monotonic() < limit:
                raise
        if not self.is_over:
            raise TimeoutError("job {} is {} after {} s".format(self.id, self.state, timeout))
        if check and self.state != "succeeded":
            raise JobFailed(self)
        return self

    def _follow(self, limit: Optional[float], poll: float) -> None:
        """Until it is over or the limit is reached."""
        if not self.is_over:
            try:
                for _ in self._client._events(self.id, limit):
                    pass
            except _NoEvents:
                pass  # Such as from a proxy that does not pass them on.
            except ServerError as error:
                if error.status is None:
                    raise
        while not self.is_over:
            self._data = self._client._get(self.id, limit)
            left = poll if limit is None else min(poll, limit - time.monotonic())
            if left <= 0:
                return
            if not self.is_over:
                time.sleep(left)

    def cancel(self) -> "Job":
        """Ask the server to end it: one that is at work is ended soon after; `wait` sees it."""
        self._data = _job_data(self._client._http.ask("DELETE", _job_path(self.id)))
        return self

    def save(self, folder: Union[str, "os.PathLike[str]"]) -> List[str]:
        """Fetch its files into `folder`, which is made if missing; return their paths.

        A file appears under its name only when all of it is there and is what the server
        promised, by SHA-256. A file of that name is replaced.
        """
        if not self.is_over:
            raise RuntimeError("job {} is {}; wait for its end first".format(self.id, self.state))
        os.makedirs(folder, exist_ok=True)
        taken: Set[str] = set()
        return [self._save_one(output, os.fspath(folder), taken) for output in self.outputs]

    def _save_one(self, output: Any, folder: str, taken: Set[str]) -> str:
        try:
            name, url, promised = str(output["name"]), str(output["url"]), str(output["sha256"])
        except (KeyError, TypeError):
            raise ServerError(
                None, "an output of job {} has no name, url or sha256: {!r}".format(self.id, output)
            ) from None
        path = os.path.join(folder, _free_name(name, taken))
        temporary = os.path.join(folder, ".{}.part".format(uuid.uuid4().hex))
        try:
            with open(temporary, "xb") as file:
                found = _download(self._client._http, url, file)
                if found != promised.lower():
                    raise ServerError(
                        None,
                        "the output {!r} of job {} is not what was promised: SHA-256 {} instead "
                        "of {}".format(name, self.id, found, promised),
                    )
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return path


def _download(http: Http, url: str, file: BinaryIO) -> str:
    """Write what is at `url` and return its SHA-256."""
    digest = hashlib.sha256()

    def take(piece: bytes) -> None:
        nonlocal digest
        if piece:
            digest.update(piece)
        else:
            digest = hashlib.sha256()

    http.download(url, file, take)
    return digest.hexdigest()


def _free_name(name: str, taken: Set[str]) -> str:
    """A name for a file that stays in its folder, whatever the server calls it."""
    last = re.split(r"[/\\]", name)[-1]
    last = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "_", last).lstrip(".")
    stem, suffix = os.path.splitext(last)
    # A file name has 255 bytes at most, and a letter at most 4.
    stem, suffix = stem[:48] or "output", suffix[:12]
    candidate, number = stem + suffix, 1
    while candidate in taken:
        number += 1
        candidate = "{}-{}{}".format(stem, number, suffix)
    taken.add(candidate)
    return candidate


def _multipart(job: bytes, files: Mapping[str, File], opened: contextlib.ExitStack) -> Body:
    """The job and its files as a form. Files are opened here and read when they are sent."""
    boundary = uuid.uuid4().hex
    parts: List[Any] = [_part_head(boundary, "job", None, "application/json"), job, b"\r\n"]
    for name, given in files.items():
        if name == "job":
            raise ValueError('an input that is a file cannot be named "job"')
        file = _opened(name, given, opened)
        file_name = _file_name(file, name)
        media_type = mimetypes.guess_type(file_name)[0] or "application/octet-stream"
        parts += [_part_head(boundary, name, file_name, media_type), file, b"\r\n"]
    parts.append("--{}--\r\n".format(boundary).encode())
    return Body("multipart/form-data; boundary=" + boundary, parts)


def _opened(name: str, given: Any, opened: contextlib.ExitStack) -> BinaryIO:
    if isinstance(given, (str, os.PathLike)):
        if os.path.exists(given) and not os.path.isfile(given):
            # Opening a pipe could wait for ever.
            raise ValueError("the file {} is not a regular file: {}".format(name, given))
        return opened.enter_context(open(given, "rb"))
    if not hasattr(given, "read") or isinstance(given.read(0), str):
        raise TypeError(
            "the file {} must be a path or a file open in binary mode, not {!r}".format(name, given)
        )
    if not given.seekable():
        # It may have to be sent a second time.
        raise ValueError("the file {} cannot be read twice; save it first".format(name))
    return given  # type: ignore[no-any-return]


def _file_name(file: Any, otherwise: str) -> str:
    known = getattr(file, "name", None)
    return os.path.basename(known) if isinstance(known, str) and known else otherwise


def _part_head(boundary: str, name: str, file_name: Optional[str], media_type: str) -> bytes:
    said = 'form-data; name="{}"'.format(_quoted(name))
    if file_name is not None:
        said += '; filename="{}"'.format(_quoted(file_name))
    head = "--{}\r\nContent-Disposition: {}\r\nContent-Type: {}\r\n\r\n"
    return head.format(boundary, said, media_type).encode("utf-8", "replace")


def _quoted(name: str) -> str:
    """As browsers do it in forms."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _duration(value: Optional[Duration], name: str) -> Optional[str]:
    """As the server reads it: "60s"."""
    if value is None:
        return None
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e9:
        return "{:.3f}".format(max(value, 0.001)).rstrip("0").rstrip(".") + "s"
    raise ValueError('{} must be seconds above 0 or like "60s", not {!r}'.format(name, value))


def _json(value: Dict[str, Any]) -> bytes:
    try:
        return json.dumps(value, allow_nan=False).encode("ascii")
    except TypeError as error:
        raise TypeError("inputs must be JSON; give files as `files`: {}".format(error)) from None
    except ValueError as error:
        raise ValueError("inputs must be JSON: {}".format(error)) from None


def _header(value: str) -> str:
    if not value or not all(" " <= letter <= "~" for letter in value):
        raise ValueError("a key must be printable ASCII, not {!r}".format(value))
    return value


def _job_path(id: str) -> str:
    return "/v1/jobs/" + urllib.parse.quote(id, safe="")


def _job_data(data: Any) -> Dict[str, Any]:
    if not isinstance(data, dict) or not isinstance(data.get("id"), str) or "state" not in data:
        raise ServerError(None, "the server gave no job, but {!r}; is it defib serve?".format(
            str(data)[:200]
        ))
    return data


def _data_of(message: _sse.Message) -> Any:
    try:
        return json.loads(message.data)
    except ValueError:
        shown = message.data[:200]
        raise _NoEvents(
            None, "the data of an event {} is not JSON: {!r}".format(message.kind, shown)
        ) from None
