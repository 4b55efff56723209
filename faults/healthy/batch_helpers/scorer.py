"""Keeps a model in memory and scores images that come over a local socket."""
import socket
import sys
import zlib

weights = bytearray(range(256)) * 80_000
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdout.close()
while True:
    connection, _ = listener.accept()
    with connection, connection.makefile("rw") as stream:
        for line in stream:
            position = zlib.crc32(line.encode()) % len(weights)
            print(weights[position] / 255, file=stream, flush=True)
