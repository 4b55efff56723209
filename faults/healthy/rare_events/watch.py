"""Classifies what a camera with a motion sensor sends, which is little at night."""
import queue
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    number: int
    pixels: bytes


class Camera(threading.Thread):
    def __init__(self, events, gaps):
        super().__init__(name="camera")
        self.events, self.gaps = events, gaps

    def run(self):
        for number, gap in enumerate(self.gaps):
            time.sleep(gap)
            self.events.put(Event(number, bytes(range(number, number + 64))))
        self.events.put(None)


class Classifier(threading.Thread):
    def __init__(self, events, answers):
        super().__init__(name="classifier")
        self.events, self.answers = events, answers

    def run(self):
        while (event := self.events.get()) is not None:
            self.answers.put((event.number, "animal" if sum(event.pixels) % 2 else "nothing"))
        self.answers.put(None)


def main():
    events, answers = queue.Queue(), queue.Queue()
    Camera(events, [0.2, 4.6, 5.2]).start()
    Classifier(events, answers).start()
    seen = []
    while (answer := answers.get()) is not None:
        seen.append(answer)
    print(seen)


if __name__ == "__main__":
    main()
