"""Ranks pictures by an aesthetic score; one process for each CPU the machine has, and a few more."""
import hashlib
import multiprocessing
import os
import time

WORKERS = max(8, 2 * (os.cpu_count() or 1))


def score(picture):
    state = picture.encode()
    for _ in range(60_000):
        state = hashlib.sha256(state).digest()
    return picture, int.from_bytes(state[:2], "big") / 65535


def rank(pictures):
    best = []
    started = time.monotonic()
    with multiprocessing.Pool(WORKERS) as pool:
        print(f"{len(pictures)} pictures, {WORKERS} workers", flush=True)
        for done, result in enumerate(pool.imap_unordered(score, pictures), 1):
            best = sorted(best + [result], key=lambda pair: -pair[1])[:10]
            if done % 50 == 0:
                print(f"{done} pictures, {done / (time.monotonic() - started):.1f} per second", flush=True)
    return best


if __name__ == "__main__":
    for picture, value in rank([f"upload/{number:05d}.webp" for number in range(3000)]):
        print(f"{value:.3f} {picture}")
