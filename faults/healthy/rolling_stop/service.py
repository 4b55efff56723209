import argparse
import logging
import signal
import threading

logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")


class Service:
    def __init__(self, name):
        self.log = logging.getLogger(name)
        self.stopping = threading.Event()
        signal.signal(signal.SIGTERM, self.on_signal)

    def on_signal(self, number, frame):
        self.log.warning("received %s, finishing the last request", signal.Signals(number).name)
        self.stopping.set()

    def run(self, seconds):
        self.stopping.wait(seconds)
        done = threading.Event()
        threading.Timer(0.8, done.set).start()
        done.wait()
        self.log.info("finished")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="service")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    Service(options.name).run(options.seconds)
