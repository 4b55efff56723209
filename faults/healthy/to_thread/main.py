import asyncio
import time

import numpy as np


def factorise(seconds):
    rng = np.random.default_rng(0)
    end = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end:
        np.linalg.svd(rng.standard_normal((220, 220)))
        rounds += 1
    return rounds


async def main():
    started = asyncio.Event()

    async def job():
        started.set()
        return await asyncio.to_thread(factorise, 9)

    task = asyncio.create_task(job())
    await started.wait()
    rounds = await task
    print("rounds", rounds > 0)


asyncio.run(main())
