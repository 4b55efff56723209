import argparse
import concurrent.futures
import logging
import random
import warnings
import zlib

from codec import TileCodec

log = logging.getLogger("decode")


def frame_bytes(index):
    height, width = (512, 1024) if index < 7 else (500, 1010)
    return random.Random(index).randbytes(height * width)


def process(codec, index):
    tiles, pixels = codec.decode(frame_bytes(index))
    log.info("frame %d: %d tiles, checksum %08x", index, tiles, zlib.crc32(pixels))
    return index


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=8)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    warnings.warn("the tile size will be taken from the stream in a later version", DeprecationWarning, stacklevel=1)
    codec = TileCodec()
    with concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode") as pool:
        jobs = [pool.submit(process, codec, index) for index in range(options.frames)]
        for job in concurrent.futures.as_completed(jobs):
            job.result()
    log.info("%d frames decoded", len(jobs))


if __name__ == "__main__":
    main()
