"""Publish detection counts to the site broker; results only count when acknowledged."""
import queue
import socket
import subprocess
import sys
import threading

import numpy as np


class Broker:
    CONNECT, CONNACK, PUBLISH, PUBACK = 0x10, 0x20, 0x30, 0x40

    def __init__(self, host, port, client_id):
        self.sock = socket.create_connection((host, port), timeout=5)
        self.sock.settimeout(None)
        self.acks = queue.Queue()
        self._send(self.CONNECT, client_id.encode())
        threading.Thread(target=self._reader, name="broker-rx", daemon=True).start()
        if self.acks.get()[0] != self.CONNACK:
            raise ConnectionError("refused")

    def _send(self, kind, payload):
        self.sock.sendall(bytes([kind, len(payload)]) + payload)

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            part = self.sock.recv(n - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def _reader(self):
        while True:
            kind, size = self._exactly(2)
            self.acks.put((kind, self._exactly(size)))

    def publish(self, topic, text):
        self._send(self.PUBLISH, f"{topic}={text}".encode())
        return self.acks.get()


def detections(frames):
    rng = np.random.default_rng(5)
    for i in range(frames):
        yield i, int((rng.random((60, 80)) > 0.999).sum())


def main():
    site = subprocess.Popen([sys.executable, "site_broker.py"], stdout=subprocess.PIPE, text=True)
    broker = Broker("127.0.0.1", int(site.stdout.readline()), "cam-3")
    for frame, count in detections(30):
        broker.publish("cam-3/count", str(count))
        print("frame", frame, "count", count, flush=True)
    site.terminate()


if __name__ == "__main__":
    main()
