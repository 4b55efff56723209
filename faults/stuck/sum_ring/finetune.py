import numpy as np

import dist


def evaluate(w):
    x = np.random.default_rng(99).standard_normal((64, w.size))
    return float(np.abs(x @ w).mean())


def main():
    group = dist.Group()
    rng = np.random.default_rng(group.rank)
    w = np.full(128, 0.5)
    best = np.inf
    for step in range(1, 401):
        g = rng.standard_normal(w.size) + w
        w = w - 0.05 * group.all_reduce(g) / group.world
        if step % 10 == 0:
            score = evaluate(w + 0.03 * rng.standard_normal(w.size))
            if group.rank == 0:
                print(f"step {step} score {score:.4f}", flush=True)
            if score < best:
                best = score
                w = group.broadcast(w)  # everybody goes on from the weights that were saved


if __name__ == "__main__":
    main()
