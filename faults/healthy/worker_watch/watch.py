"""Runs the segmentation in a process that reports its progress; a process without progress is replaced once."""
import multiprocessing
import multiprocessing.connection
import time


def segment(first, count, progress):
    for frame in range(first, count):
        if first == 0 and frame == 4:
            time.sleep(3600)
        time.sleep(0.3)
        progress.send(frame)
    progress.close()


class Watch:
    def __init__(self, count, patience, restarts):
        self.count, self.patience, self.restarts = count, patience, restarts
        self.context = multiprocessing.get_context("spawn")
        self.done = 0

    def start(self):
        receiver, sender = self.context.Pipe(duplex=False)
        process = self.context.Process(target=segment, args=(self.done, self.count, sender), daemon=True)
        process.start()
        sender.close()
        return process, receiver

    def run(self):
        process, progress = self.start()
        while True:
            try:
                if not progress.poll(self.patience):
                    if not self.restarts:
                        raise SystemExit("no progress, giving up")
                    self.restarts -= 1
                    process.kill()
                    process.join()
                    process, progress = self.start()
                    continue
                self.done = progress.recv() + 1
            except EOFError:
                process.join()
                return process.exitcode


if __name__ == "__main__":
    watch = Watch(count=14, patience=2.5, restarts=1)
    print("status", watch.run(), "frames", watch.done, "restarts left", watch.restarts)
