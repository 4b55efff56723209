import hashlib
import random
import socket
import sys
import time

parts = int(sys.argv[1])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
connection.recv(1024)
data = random.Random(1).randbytes(parts * 700)
connection.sendall(len(data).to_bytes(8, "big"))
for start in range(0, len(data), 700):
    time.sleep(0.2)
    connection.sendall(data[start : start + 700])
connection.close()
print(hashlib.sha256(data).hexdigest(), flush=True)
