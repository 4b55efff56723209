"""Runs the service and starts it anew when the configuration has changed."""
import argparse
import pathlib
import socket
import subprocess
import sys
import time


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"model\n")
            print("serving:", connection.recv(100).decode().strip(), flush=True)
            return True
    except ConnectionError:
        return False


def start(port: int, generation: int) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "service.py", "--port", str(port), "--model", f"v{generation}"])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--reloads", type=int, default=1)
    args = parser.parse_args()
    port = free_port()
    pathlib.Path("current_port").write_text(str(port))
    service = start(port, 1)
    while service.poll() is None and not answers(port):
        time.sleep(0.1)
    for generation in range(2, args.reloads + 2):
        time.sleep(1)
        print(f"configuration changed, generation {generation}", flush=True)
        service.terminate()
        service.wait()
        service = start(port, generation)
        time.sleep(1.5)
        if service.poll() is not None:
            print(f"generation {generation} did not start", file=sys.stderr)
            return service.returncode
        answers(port)
    service.terminate()
    return service.wait()


if __name__ == "__main__":
    sys.exit(main())
