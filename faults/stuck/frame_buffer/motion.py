"""Finds motion between frames. A thread decodes into a pipe, as an external decoder would."""
import argparse
import hashlib
import os
import threading
import time


class Decoder(threading.Thread):
    def __init__(self, frames, size):
        super().__init__(name="decoder")
        self.frames = frames
        self.size = size
        self.source, self.sink = os.pipe()

    def run(self):
        for number in range(self.frames):
            picture = hashlib.shake_128(b"%d" % (number // 3)).digest(self.size)
            view = memoryview(picture)
            while view:
                view = view[os.write(self.sink, view) :]
        os.close(self.sink)


class MotionDetector:
    def __init__(self, size):
        self.size = size
        self.last = None
        self.events = 0

    def feed(self, picture):
        if self.last is not None and picture != self.last:
            self.events += 1
        self.last = picture


def measure(frames, size):
    decoder = Decoder(frames, size)
    started = time.monotonic()
    decoder.start()
    decoder.join()
    elapsed = time.monotonic() - started
    detector = MotionDetector(size)
    with os.fdopen(decoder.source, "rb") as source:
        while picture := source.read(size):
            detector.feed(picture)
    return detector.events, elapsed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=12)
    options = parser.parse_args()
    for name, size in (("thumbnail", 1024), ("preview", 48 * 64), ("full", 320 * 240)):
        frames = min(options.frames, 10) if name == "thumbnail" else options.frames
        frames = min(frames, 20) if name == "preview" else frames
        events, elapsed = measure(frames, size)
        print(f"{name}: {events} events in {frames} frames, decoded in {elapsed:.3f} s", flush=True)


if __name__ == "__main__":
    main()
