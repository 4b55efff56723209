"""A ring of frames in shared memory; two semaphores count the free and the filled places."""
import argparse
import json
import mmap
import multiprocessing
import time

PLACE = 16 * 1024


class Ring:
    def __init__(self, context, slots):
        self.memory = mmap.mmap(-1, slots * PLACE)
        self.slots = slots
        self.free = context.Semaphore(slots)
        self.filled = context.Semaphore(0)

    def put(self, number, data):
        self.free.acquire()
        start = number % self.slots * PLACE
        self.memory[start : start + len(data)] = data
        self.filled.release()

    def take(self, number):
        self.filled.acquire()
        start = number % self.slots * PLACE
        data = bytes(self.memory[start : start + PLACE])
        self.free.release()
        return data


def detect(ring, frames, events):
    for number in range(frames):
        if sum(ring.take(number)) % 3 == 0:
            events.value += 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=8)
    options = parser.parse_args()
    settings = json.load(open("source.json"))
    context = multiprocessing.get_context("fork")
    ring = Ring(context, settings["slots"])
    events = context.Value("i", 0)
    try:
        detector = context.Process(target=detect, args=(ring, settings["reader_frames"], events), name="detector")
        detector.start()
        for number in range(options.frames):
            ring.put(number, bytes([number]) * PLACE)
            time.sleep(0.02)
            if number % 10 == 0:
                print(f"frame {number}", flush=True)
        detector.join()
        print(events.value, "events")
    finally:
        ring.memory.close()


if __name__ == "__main__":
    main()
