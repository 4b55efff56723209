import hashlib
import socket
import subprocess
import sys


def download(port):
    """Plain blocking reads without a deadline: the line is slow, but it is moving."""
    s = socket.create_connection(("127.0.0.1", port))
    s.sendall(b"GET weights\n")
    digest, got = hashlib.sha256(), 0
    while chunk := s.recv(1 << 16):
        digest.update(chunk)
        got += len(chunk)
    return got, digest.hexdigest()[:10]


if __name__ == "__main__":
    srv = subprocess.Popen([sys.executable, "origin.py"], stdout=subprocess.PIPE, text=True)
    size, digest = download(int(srv.stdout.readline()))
    print("got", size, digest)
    srv.wait()
