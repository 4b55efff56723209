"""Two stages in two processes: the second begins when the first has filled the shared table."""
import ctypes
import multiprocessing
import time


class Stage:
    def __init__(self, context, size):
        self.table = context.Array(ctypes.c_double, size)
        self.filled = context.Event()
        self.turn = context.Semaphore(0)

    def fill(self):
        for start in range(0, len(self.table), 100):
            time.sleep(0.7)
            with self.table.get_lock():
                for k in range(start, start + 100):
                    self.table[k] = k / len(self.table)
        self.filled.set()
        self.turn.release()


def main():
    context = multiprocessing.get_context("spawn")
    stage = Stage(context, 1000)
    process = context.Process(target=stage.fill)
    process.start()
    stage.filled.wait()
    stage.turn.acquire()
    process.join()
    print(f"mean {sum(stage.table) / len(stage.table):.3f}")


if __name__ == "__main__":
    main()
