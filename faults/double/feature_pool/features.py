"""Features of clips in a pool; a clip is held in memory as a whole."""
import argparse
import logging
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

log = logging.getLogger("features")


@dataclass(frozen=True)
class Clip:
    number: int
    frames: int


def decode(clip: Clip) -> list[bytearray]:
    frames = []
    for number in range(clip.frames):
        frames.append(bytearray(bytes([number % 251 + 1]) * (512 * 1024)))
        time.sleep(0.005)
    return frames


def start_worker() -> None:
    # When memory is short, a worker shall go before the job that waits for it.
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
        score.write("500")


def features(clip: Clip) -> tuple[int, float]:
    frames = decode(clip)
    return clip.number, sum(frame[0] for frame in frames) / len(frames)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=2)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    clips = [Clip(number, 20 if number != 4 else 900) for number in range(args.clips)]
    with ProcessPoolExecutor(2, initializer=start_worker) as pool:
        for job in as_completed([pool.submit(features, clip) for clip in clips]):
            log.info("clip %d: %.2f", *job.result())


if __name__ == "__main__":
    main()
