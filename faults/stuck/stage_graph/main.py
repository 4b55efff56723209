import logging
import time
from concurrent.futures import ThreadPoolExecutor, wait

import stages

logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")


def main():
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="stage") as pool:
        graph = stages.Graph(pool)
        graph.add("decode", stages.decode)
        graph.add("detect", stages.detect, after=["decode", "track"])
        graph.add("track", stages.track, after=["decode", "detect"])
        graph.add("encode", stages.encode, after=["track"])
        futures = graph.launch()
        time.sleep(1.5)
        print("finished so far:", [k for k, f in futures.items() if f.done()], flush=True)
        wait(futures.values())
        print("frames written:", futures["encode"].result())


if __name__ == "__main__":
    main()
