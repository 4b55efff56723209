"""Holds a model and answers on a port; ends when nobody has asked for a while."""
import socket
import sys

IDLE = 8

port, model = int(sys.argv[1]), sys.argv[2]
weights = bytearray(8 << 20)
with socket.socket() as listener:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    listener.settimeout(IDLE)
    while True:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            break
        with connection:
            if connection.recv(100):
                connection.sendall(f"{model}, {len(weights) >> 20} MB\n".encode())
