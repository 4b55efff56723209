"""Segments frames with onnxruntime: a reader, a pool of workers and a writer.

With --freeze the writer and a worker take their two locks in opposite order, as
a change in such code easily makes them do; the program then stands still.
"""

import argparse
import queue
import threading

import numpy
import onnxruntime


class Pipeline:
    def __init__(self, model, frames, freeze):
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.frames = frames
        self.freeze = freeze
        self.jobs = queue.Queue(maxsize=8)
        self.results = {}
        self.results_lock = threading.Lock()
        self.stats_lock = threading.Lock()
        self.done = 0

    def read(self):
        generator = numpy.random.default_rng(1)
        for number in range(self.frames):
            self.jobs.put((number, generator.standard_normal((1, 3, 256, 256), dtype="float32")))
        for _ in range(2):
            self.jobs.put(None)

    def work(self):
        while (job := self.jobs.get()) is not None:
            number, frame = job
            mask = self.session.run(None, {"x0": frame})[0].argmax(axis=1)
            with self.results_lock:
                self.results[number] = int(mask.sum())
                with self.stats_lock:
                    self.done += 1

    def report(self):
        while self.done < self.frames:
            with self.stats_lock:
                print(f"\r{self.done}/{self.frames} frames", end="", flush=True)
                if self.freeze and self.done > 5:
                    threading.Event().wait(0.2)
                    with self.results_lock:
                        self.results.clear()
            threading.Event().wait(0.05)
        print(f"\r{self.done}/{self.frames} frames")

    def run(self):
        jobs = [self.read, self.work, self.work, self.report]
        threads = [threading.Thread(target=job, name=job.__name__) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--freeze", action="store_true")
    arguments = parser.parse_args()
    Pipeline(arguments.model, arguments.frames, arguments.freeze).run()


if __name__ == "__main__":
    main()
