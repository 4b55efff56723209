import logging
import threading
import time

import numpy as np

from registry import MetricsHub, ModelRegistry

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(threadName)s %(message)s")
log = logging.getLogger("serve")


def reloader(reg):
    for n in range(40):
        reg.swap(n)
        log.info("weights %d live", n)
        time.sleep(0.11)


def reporter(hub):
    for _ in range(60):
        log.info("stats %s", hub.flush())
        time.sleep(0.07)


def main():
    reg = ModelRegistry()
    hub = MetricsHub(reg)
    reg.swap(0)
    threads = [threading.Thread(target=reloader, args=(reg,), name="reload"),
               threading.Thread(target=reporter, args=(hub,), name="report")]
    for t in threads:
        t.start()
    x = np.ones((8, 256), dtype=np.float32)
    for _ in range(200):
        t0 = time.perf_counter()
        reg.forward(x)
        hub.record((time.perf_counter() - t0) * 1e3)
        time.sleep(0.02)
    for t in threads:
        t.join()
    log.info("done")


if __name__ == "__main__":
    main()
