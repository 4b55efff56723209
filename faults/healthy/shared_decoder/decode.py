"""Several requests share one decoder, which takes them one after the other."""
import threading
import time


class Decoder:
    def __init__(self):
        self.lock = threading.Lock()
        self.statistics = threading.Condition()
        self.done = {}

    def decode(self, name, seconds):
        with self.lock:
            time.sleep(seconds)
        with self.statistics:
            self.done[name] = seconds
            self.statistics.notify_all()

    def wait_for(self, count):
        with self.statistics:
            while len(self.done) < count:
                self.statistics.wait()
            return dict(self.done)


def main():
    decoder = Decoder()
    requests = [threading.Thread(target=decoder.decode, args=(f"clip{n}", 4.2 if n == 1 else 0.7), name=f"clip{n}") for n in range(6)]
    for request in requests:
        request.start()
    done = decoder.wait_for(len(requests))
    for request in requests:
        request.join()
    print(f"{len(done)} clips, {sum(done.values()):.1f} s")


if __name__ == "__main__":
    main()
