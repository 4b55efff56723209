import argparse
import os
import socket
import subprocess
import sys
import time


def connect(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection


def ensure(path, idle):
    """Starts the keeper as a daemon when there is none."""
    try:
        return connect(path)
    except OSError:
        if os.path.exists(path):
            os.unlink(path)
        subprocess.Popen(
            [sys.executable, "keeper.py", path, str(idle)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )
    for _ in range(100):
        time.sleep(0.1)
        try:
            return connect(path)
        except OSError:
            continue
    sys.exit("the keeper did not start")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("text")
    parser.add_argument("--idle", type=float, default=4.0)
    options = parser.parse_args()
    for _ in range(3):
        with ensure("keeper.sock", options.idle) as connection:
            connection.sendall(options.text.encode())
            print("score", connection.recv(100).decode(), flush=True)
        time.sleep(1.5)


if __name__ == "__main__":
    main()
