import logging
import multiprocessing as mp
import zlib

import decode

logging.basicConfig(level=logging.INFO, format="%(processName)s %(message)s")


def records(n):
    for i in range(n):
        blob = zlib.compress(bytes([i % 251]) * 5000)
        yield i, blob if i != 37 else blob[: len(blob) // 2]


def main():
    with mp.Pool(3) as pool:
        sizes = pool.map(decode.decode, records(80), chunksize=2)
    logging.info("decoded %d records, %d bytes", len(sizes), sum(sizes))


if __name__ == "__main__":
    main()
