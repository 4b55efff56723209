"""Sends preview frames of a running job over a framed socket. Ends with its standard input."""
import select
import socket
import struct
import sys

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
connection.recv(1024)
connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
for number in range(5):
    payload = b"%d:" % number + bytes(range(256)) * 8
    select.select([], [], [], 0.1)
    connection.sendall(b"\x82\x7e" + struct.pack(">H", len(payload)) + payload)
# the header of a frame whose picture is not there yet
connection.sendall(b"\x82\x7e" + struct.pack(">H", 4096) + b"5:")
select.select([sys.stdin], [], [])
