"""Pickled messages over a stream socket, each with its length in front, under a deadline."""

import socket
import struct
import time
from typing import Optional

_LENGTH = struct.Struct("<Q")


class DeadlineReached(Exception):
    """The other side did not read or answer in time."""


def send(channel: socket.socket, payload: bytes, deadline: Optional[float] = None) -> None:
    """Send one message. `deadline` is on the monotonic clock, in seconds."""
    for part in (_LENGTH.pack(len(payload)), payload):
        rest = memoryview(part)
        while rest:
            _wait_at_most_until(channel, deadline)
            try:
                rest = rest[channel.send(rest) :]
            except socket.timeout:
                raise DeadlineReached() from None


def receive(channel: socket.socket, deadline: Optional[float] = None) -> bytearray:
    """Read one message. Raises EOFError where the other side has closed."""
    (length,) = _LENGTH.unpack(_read_exactly(channel, _LENGTH.size, deadline))
    return _read_exactly(channel, length, deadline)


def _read_exactly(channel: socket.socket, length: int, deadline: Optional[float]) -> bytearray:
    # Filled in place: a result of gigabytes is not copied together from pieces.
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        _wait_at_most_until(channel, deadline)
        try:
            count = channel.recv_into(rest)
        except socket.timeout:
            raise DeadlineReached() from None
        if count == 0:
            raise EOFError("the other side has closed")
        rest = rest[count:]
    return data


def _wait_at_most_until(channel: socket.socket, deadline: Optional[float]) -> None:
    if deadline is None:
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise DeadlineReached()
    channel.settimeout(left)
