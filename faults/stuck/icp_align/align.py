import sys
import zlib

import numpy as np


def load(name):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    pts = rng.random((200, 3))
    if name == "garage":
        pts[17, 2] = np.inf  # a ray that met nothing
    return pts


def nearest(a, b):
    d = ((a[:, None, :] - b[None]) ** 2).sum(-1)
    return b[d.argmin(1)], d.min(1).mean()


def icp(src, dst, tol=1e-6):
    cur, last, change, rounds = src, np.inf, np.inf, 0
    while not change < tol:
        match, err = nearest(cur, dst)
        shift = np.nanmean(match - cur, axis=0)
        cur = cur + shift
        change = abs(last - err)
        last = err
        rounds += 1
    return rounds, err


if __name__ == "__main__":
    np.seterr(all="ignore")
    reference = np.random.default_rng(1).random((200, 3))
    print("rounds %d error %.5f" % icp(load(sys.argv[1]), reference))
