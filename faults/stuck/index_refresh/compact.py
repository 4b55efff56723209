import os
import sys
import time

import storage

root = sys.argv[1]
for pass_ in range(50):
    with storage.exclusive(os.path.join(root, "blobs.bin")) as blobs:
        live = os.pread(blobs, 4096, 0).count(0)
        time.sleep(0.2)
        with storage.exclusive(os.path.join(root, "index.bin")) as index:
            os.pwrite(index, live.to_bytes(8, "little"), 64)
    print("compact: pass", pass_, "free", live, flush=True)
