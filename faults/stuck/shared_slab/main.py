"""Workers write feature rows into one shared slab; a slow one is replaced after its deadline."""
import multiprocessing as mp
import time
from multiprocessing import shared_memory

import numpy as np

ROWS, DIM = 64, 128


def fill(name, guard, cursor, rank, delay):
    shm = shared_memory.SharedMemory(name=name)
    slab = np.ndarray((ROWS, DIM), np.float32, shm.buf)
    rng = np.random.default_rng(rank)
    for _ in range(ROWS // 4):
        row = rng.standard_normal(DIM).astype(np.float32)
        with guard:
            slab[cursor.value % ROWS] = row
            cursor.value += 1
            time.sleep(delay)
        time.sleep(0.02)


class Supervisor:
    def __init__(self, ctx):
        self.ctx, self.guard, self.cursor = ctx, ctx.Lock(), ctx.Value("i", 0, lock=False)
        self.shm = shared_memory.SharedMemory(create=True, size=ROWS * DIM * 4)
        self.procs = {}

    def start(self, rank, delay):
        p = self.ctx.Process(target=fill, args=(self.shm.name, self.guard, self.cursor, rank, delay), name=f"fill{rank}")
        p.start()
        self.procs[rank] = p

    def enforce(self, rank, deadline):
        p = self.procs[rank]
        p.join(deadline)
        if p.is_alive():
            print(f"{p.name} missed its deadline, replacing it", flush=True)
            p.kill()
            p.join()
            self.start(rank, 0.001)

    def finish(self):
        for p in self.procs.values():
            p.join()
        self.shm.close()
        self.shm.unlink()


def main():
    sup = Supervisor(mp.get_context("fork"))
    for rank, delay in enumerate((0.6, 0.01, 0.01)):
        sup.start(rank, delay)
    sup.enforce(0, deadline=1.5)
    sup.finish()
    print("rows", sup.cursor.value)


if __name__ == "__main__":
    main()
