import argparse
import json
import logging
import time

import numpy as np

ap = argparse.ArgumentParser()
ap.add_argument("--scene")
ap.add_argument("--frames", type=int)
args = ap.parse_args()
logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
log = logging.getLogger("raster")

rng = np.random.default_rng(0)
for frame in range(args.frames):
    t0 = time.perf_counter()
    depth = rng.random((64, 64))
    for tile in range(8):
        log.debug("scene=%s frame=%d tile=%d min=%.4f max=%.4f culled=%d", args.scene, frame, tile, depth.min(),
                  depth.max(), int((depth > 0.9).sum()))
    time.sleep(0.01)
    print(json.dumps({"frame": frame, "ms": (time.perf_counter() - t0) * 1e3}), flush=True)
