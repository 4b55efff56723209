"""Serves requests from a queue; a request can name another checkpoint."""
import queue
import sys
import threading
import traceback

import numpy as np
from safetensors.numpy import load_file, save_file

from net import Net, checkpoint


class Server(threading.Thread):
    def __init__(self, requests: "queue.Queue[dict | None]") -> None:
        super().__init__(name="server")
        self.requests = requests
        self.net = Net()
        self.current = ""
        self.failures = 0

    def switch(self, name: str) -> None:
        self.net.load_state(load_file(f"{name}.safetensors"))
        self.current = name

    def handle(self, request: dict) -> float:
        name = request.get("checkpoint")
        if name and name != self.current:
            try:
                self.switch(name)
            except KeyError as error:
                print(f"checkpoint {name} has no {error}; staying with {self.current}", file=sys.stderr)
        x = np.random.default_rng(request["seed"]).random(16, dtype=np.float32)
        return float(self.net(x).mean())

    def run(self) -> None:
        while (request := self.requests.get()) is not None:
            try:
                print(f"seed {request['seed']} on {self.current}: {self.handle(request):.3f}", flush=True)
            except ValueError:
                traceback.print_exc()
                self.failures += 1


def main() -> int:
    save_file(checkpoint(32), "base.safetensors")
    save_file(checkpoint(48, ("encode", "middle")), "wide.safetensors")
    requests: "queue.Queue[dict | None]" = queue.Queue()
    server = Server(requests)
    server.switch("base")
    server.start()
    for request in ({"seed": 1}, {"seed": 2}, {"seed": 1, "checkpoint": "wide"}, {"seed": 1}, {"seed": 2}):
        requests.put(request)
    requests.put(None)
    server.join()
    return 1 if server.failures else 0


if __name__ == "__main__":
    sys.exit(main())
