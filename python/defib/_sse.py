"""Server-sent events, read from pieces of any size (WHATWG HTML, section 9.2)."""

import re
from typing import List, NamedTuple, Optional

# A carriage return at the end of what has come may be the first half of a line's end.
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")
EVENT_LIMIT = 16 << 20


class Message(NamedTuple):
    """One message. `id` is the last one that was told, also by an earlier message."""

    id: Optional[str]
    kind: str
    data: str


class Parser:
    """Give it what comes; it gives back the messages that are complete."""

    def __init__(self, last_id: Optional[str] = None) -> None:
        self.retry_s: Optional[float] = None
        self._id = last_id
        self._kind = ""
        self._data: List[str] = []
        self._size = 0
        self._rest = b""
        self._is_first_line = True

    def feed(self, piece: bytes) -> List[Message]:
        """Raises ValueError for a message that is too large to be one."""
        lines = _LINE_END.split(self._rest + piece)
        self._rest = lines.pop()
        messages = [message for message in map(self._take, lines) if message is not None]
        if self._size + len(self._rest) > EVENT_LIMIT:
            raise ValueError("an event is larger than {} bytes".format(EVENT_LIMIT))
        return messages

    def _take(self, raw: bytes) -> Optional[Message]:
        line = raw.decode("utf-8", "replace")
        if self._is_first_line:
            self._is_first_line = False
            line = line[1:] if line.startswith("\ufeff") else line
        if not line:
            return self._complete()
        self._size += len(raw)
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isdigit():
            self.retry_s = int(value) / 1000
        # A line without a name is a comment that keeps the connection open.
        return None

    def _complete(self) -> Optional[Message]:
        data, kind = self._data, self._kind
        self._data, self._kind, self._size = [], "", 0
        if not data:
            return None
        return Message(self._id, kind or "message", "\n".join(data))
