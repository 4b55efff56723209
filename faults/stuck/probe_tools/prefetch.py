"""Map the weights and keep them warm in the page cache."""
import mmap
import os
import sys
import time

path = sys.argv[1]
size = os.path.getsize(path)
print(size // mmap.PAGESIZE, flush=True)
if os.fork():
    os._exit(0)
os.setsid()
with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
    while True:
        total = sum(m[i] for i in range(0, size, mmap.PAGESIZE))
        time.sleep(20)
