import os
import sys
import time

import storage

root = sys.argv[1]
for round_ in range(50):
    with storage.exclusive(os.path.join(root, "index.bin")) as index:
        os.pwrite(index, round_.to_bytes(8, "little"), 0)
        time.sleep(0.25)  # rebuild the graph layer
        with storage.exclusive(os.path.join(root, "blobs.bin")) as blobs:
            os.pwrite(blobs, round_.to_bytes(8, "little"), 8)
    print("refresh: round", round_, flush=True)
