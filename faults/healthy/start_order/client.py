"""Starts the backend and waits until it answers."""
import logging
import socket
import subprocess
import sys
import time

import requests

log = logging.getLogger("client")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_for(url, seconds):
    end, problem = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            return requests.get(url, timeout=2).json()
        except requests.ConnectionError as error:
            if problem is None:
                log.warning("not there yet: %s", error)
            problem = error
            time.sleep(0.5)
    raise problem


def main():
    port = free_port()
    backend = subprocess.Popen([sys.executable, "backend.py", str(port)])
    try:
        answer = wait_for(f"http://127.0.0.1:{port}/status", 30)
        print("backend is", answer["status"])
    finally:
        backend.wait(5)


if __name__ == "__main__":
    main()
