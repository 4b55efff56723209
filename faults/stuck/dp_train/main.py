import multiprocessing as mp

import numpy as np

import train


def main(world=3, samples=100, batch=8):
    ctx = mp.get_context("fork")
    grads = ctx.Array("d", world * train.DIM, lock=False)
    sync = train.Sync(ctx.Barrier(world), ctx.Barrier(world))
    index = np.array_split(np.random.default_rng(0).permutation(samples), world)
    ranks = [ctx.Process(target=train.run, args=(r, world, grads, sync, index[r], batch), name=f"rank{r}")
             for r in range(world)]
    for p in ranks:
        p.start()
    for p in ranks:
        p.join()
    print("trained", [p.exitcode for p in ranks])


if __name__ == "__main__":
    main()
