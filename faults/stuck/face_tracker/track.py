"""Tracks faces in a video; detection runs in a process of its own, which is renewed now and then."""
import logging
import multiprocessing
import random
import threading
import time

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(processName)s %(message)s")
log = logging.getLogger("track")


def detector(tasks, results, limit):
    log.info("detector ready")
    for _ in range(limit):
        frame = tasks.get()
        if frame is None:
            break
        source = random.Random(frame)
        time.sleep(0.01)
        results.put((frame, [source.randrange(640), source.randrange(480), 64, 64]))
    log.info("detector ends")


class Tracker:
    def __init__(self, limit=60):
        context = multiprocessing.get_context("spawn")
        self.tasks = context.Queue()
        self.results = context.Queue()
        self.process = context.Process(
            target=detector, args=(self.tasks, self.results, limit), name="detector", daemon=True
        )
        self.process.start()
        self.tracks = {}

    def feed(self, frames):
        for frame in frames:
            self.tasks.put(frame)
        self.tasks.put(None)

    def follow(self, count):
        for done in range(count):
            frame, box = self.results.get()
            nearest = min(self.tracks, key=lambda t: abs(self.tracks[t][0] - box[0]), default=None)
            if nearest is None or abs(self.tracks[nearest][0] - box[0]) > 40:
                nearest = len(self.tracks)
            self.tracks[nearest] = box
            if done % 20 == 0:
                log.info("frame %d: %d tracks", frame, len(self.tracks))
        return len(self.tracks)


def main(frames=90):
    tracker = Tracker()
    feeder = threading.Thread(target=tracker.feed, args=(range(frames),), name="feeder")
    feeder.start()
    log.info("%d tracks", tracker.follow(frames))
    feeder.join()
    tracker.process.join()


if __name__ == "__main__":
    main()
