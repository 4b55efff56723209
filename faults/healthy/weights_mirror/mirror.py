"""Copies a small model from a mirror with a narrow line and checks its digest."""
import hashlib
import socket
import subprocess
import sys
import tempfile

PARTS = 40


def fetch(port, file):
    digest = hashlib.sha256()
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"GET model.safetensors\n")
    size = int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "big")
    received = 0
    while received < size:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError(f"the mirror closed after {received} of {size} bytes")
        file.write(part)
        digest.update(part)
        received += len(part)
    connection.close()
    return received, digest.hexdigest()


def main():
    mirror = subprocess.Popen([sys.executable, "line.py", str(PARTS)], stdout=subprocess.PIPE, text=True)
    port = int(mirror.stdout.readline())
    with tempfile.TemporaryFile() as file:
        received, digest = fetch(port, file)
    expected = mirror.stdout.readline().strip()
    mirror.wait()
    print(received, "bytes,", "digest is right" if digest == expected else "digest is WRONG")
    return digest != expected


if __name__ == "__main__":
    sys.exit(main())
