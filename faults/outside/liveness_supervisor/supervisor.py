"""Keeps the render server alive: asks its health page, replaces it where it does not answer."""
import http.client
import logging
import pathlib
import subprocess
import sys
import threading
import time

log = logging.getLogger("supervisor")
PERIOD = 0.5
TIMEOUT = 0.5
FAILURES = 3


class Probe:
    def __init__(self, port: int) -> None:
        self.port = port
        self.missed = 0

    def __call__(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            connection.request("GET", "/health")
            self.missed = 0 if connection.getresponse().status == 200 else self.missed + 1
        except OSError as error:
            self.missed += 1
            log.warning("health: %s (%d)", error, self.missed)
        finally:
            connection.close()
        return self.missed < FAILURES


def client(port: int, report: list) -> None:
    for steps in (5, 10, 400):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("POST", f"/render?steps={steps}")
            report.append(connection.getresponse().read())
        except (OSError, http.client.HTTPException) as error:
            report.append(error)
            break


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
    port_file = pathlib.Path("port")
    port_file.unlink(missing_ok=True)
    server = subprocess.Popen([sys.executable, "server.py", str(port_file)])
    while not port_file.exists():
        time.sleep(0.05)
    port = int(port_file.read_text())
    report: list = []
    requests = threading.Thread(target=client, args=(port, report))
    requests.start()
    probe = Probe(port)
    while requests.is_alive() and server.poll() is None:
        time.sleep(PERIOD)
        if not probe():
            server.kill()
            break
    status = server.wait()
    requests.join()
    log.info("server ended with %d; %d answers", status, len(report))
    return 0 if status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
