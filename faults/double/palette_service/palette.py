"""Colours of pictures, with a table of palettes that two threads keep up to date."""
import signal
import threading
import time


class Palettes:
    def __init__(self):
        self.table = threading.Lock()
        self.disk = threading.Lock()
        self.colours = {}

    def learn(self, picture):
        with self.table:
            self.colours[picture] = picture * 37 % 256
            time.sleep(0.2)
            with self.disk:
                return len(self.colours)

    def save(self):
        with self.disk:
            time.sleep(0.2)
            with self.table:
                return dict(self.colours)


def main():
    palettes = Palettes()
    signal.signal(signal.SIGINT, lambda number, frame: print("stopping after this picture", flush=True))
    threads = [threading.Thread(target=palettes.learn, args=(5,)), threading.Thread(target=palettes.save)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
