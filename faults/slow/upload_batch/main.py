"""Edit twenty images, five at a time, and upload each result."""
import asyncio
import io
import logging
import subprocess
import sys

import numpy as np

import bucket

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
log = logging.getLogger("batch")


async def edit(image):
    for _ in range(3):
        await asyncio.sleep(0.05)  # the model runs elsewhere
        image = np.clip(image * 1.1, 0, 1)
    return image


async def one(i, gate, store):
    async with gate:
        image = await edit(np.random.default_rng(i).random((128, 128, 3), dtype=np.float32))
        buf = io.BytesIO()
        np.save(buf, image)
        url = store.put(f"result-{i:02d}.npy", buf.getvalue())
        log.info("image %d -> %s", i, url)


async def main():
    srv = subprocess.Popen([sys.executable, "slowbucket.py"], stdout=subprocess.PIPE, text=True)
    store = bucket.Bucket(f"http://127.0.0.1:{int(srv.stdout.readline())}")
    gate = asyncio.Semaphore(5)
    await asyncio.gather(*(one(i, gate, store) for i in range(20)))
    srv.terminate()


if __name__ == "__main__":
    asyncio.run(main())
