"""Renders tiles in threads as requests come in; tidies up when it is asked to end."""
import queue
import threading
import time


class Farm:
    def __init__(self, workers=2):
        self.requests = queue.Queue()
        self.threads = [threading.Thread(target=self.render, name=f"tile-{number}") for number in range(workers)]
        for thread in self.threads:
            thread.start()

    def render(self):
        while True:
            tile = self.requests.get()
            time.sleep(0.02 * tile)

    def close(self):
        for thread in self.threads:
            thread.join()


def main():
    farm = Farm()
    number = 0
    try:
        while True:
            farm.requests.put(number % 3)
            number += 1
            print("requested", number, flush=True)
            time.sleep(0.2)
    except KeyboardInterrupt:
        farm.close()


if __name__ == "__main__":
    main()
