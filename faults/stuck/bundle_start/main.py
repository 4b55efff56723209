"""Start the feature store helper, read the address it was given, then score."""
import os
import subprocess
import sys


def start_store():
    env = dict(os.environ, PY=sys.executable)
    done = subprocess.run(["sh", "start.sh"], env=env, capture_output=True, text=True, timeout=None)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.strip().splitlines()[-1]


def main():
    print("starting feature store", flush=True)
    address = start_store()
    print("store at", address)
    import socket
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(address)
        s.sendall(b"GET user:1\n")
        print(s.recv(100).decode())


if __name__ == "__main__":
    main()
