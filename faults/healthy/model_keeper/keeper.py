"""Keeps the model in memory for the next call; ends by itself when no call comes for some seconds."""
import socket
import sys
import time

socket_path, idle = sys.argv[1], float(sys.argv[2])
time.sleep(1.0)
weights = [k * 2654435761 % 4093 for k in range(50_000)]
listener = socket.socket(socket.AF_UNIX)
listener.bind(socket_path)
listener.listen()
listener.settimeout(idle)
try:
    while True:
        connection, _ = listener.accept()
        with connection:
            text = connection.recv(4096)
            connection.sendall(str(sum(weights[byte * 97 % len(weights)] for byte in text)).encode())
except TimeoutError:
    pass
