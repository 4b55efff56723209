import multiprocessing as mp

import mover


def main():
    ctx = mp.get_context("spawn")
    locks = [ctx.Lock(), ctx.Lock()]
    counts = ctx.Array("q", [50_000, 50_000])
    ready = ctx.Barrier(2)
    plans = {
        "east": [mover.Move(0, 1, n) for n in (500, 700, 900, 400)],
        "west": [mover.Move(1, 0, n) for n in (300, 800, 600, 200)],
    }
    procs = [ctx.Process(target=worker, args=(ready, n, locks, p, counts), name=n) for n, p in plans.items()]
    for p in procs:
        p.start()
    for p in procs:
        p.join()
    print("balanced", list(counts))


def worker(ready, *args):
    ready.wait()
    mover.run(*args)


if __name__ == "__main__":
    main()
