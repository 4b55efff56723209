import argparse
import logging
import socket
import subprocess
import sys

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
log = logging.getLogger("batch")


class Scorer:
    """A scorer in a process of its own, so that Ctrl+C does not reach it."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "scorer.py"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.connection = socket.create_connection(("127.0.0.1", int(self.process.stdout.readline())), 10)
        self.stream = self.connection.makefile("rw")

    def score(self, image):
        print(image, file=self.stream, flush=True)
        return float(self.stream.readline())

    def close(self):
        self.stream.close()
        self.connection.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--scorers", type=int, default=2)
    options = parser.parse_args()
    scorers = [Scorer() for _ in range(options.scorers)]
    for number in range(options.images):
        image = f"image-{number:03d}.png"
        log.info("%s %.3f", image, scorers[number % len(scorers)].score(image))
    for scorer in scorers:
        scorer.close()
    log.info("batch complete")


if __name__ == "__main__":
    main()
