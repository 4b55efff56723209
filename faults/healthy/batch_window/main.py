"""Dynamic batching: requests wait until a batch is full or its window has passed."""
import asyncio

import numpy as np


class Batcher:
    def __init__(self, size, window):
        self.size, self.window = size, window
        self.queue = asyncio.Queue()
        self.w = np.random.default_rng(0).standard_normal((32, 4))

    async def infer(self, x):
        fut = asyncio.get_running_loop().create_future()
        await self.queue.put((x, fut))
        return await fut

    async def run(self):
        while True:
            batch = [await self.queue.get()]
            end = asyncio.get_running_loop().time() + self.window
            while len(batch) < self.size:
                try:
                    left = end - asyncio.get_running_loop().time()
                    batch.append(await asyncio.wait_for(self.queue.get(), left))
                except asyncio.TimeoutError:
                    break
            ys = np.stack([x for x, _ in batch]) @ self.w
            for (_, fut), y in zip(batch, ys):
                fut.set_result(int(y.argmax()))


async def main():
    b = Batcher(size=8, window=5.0)
    runner = asyncio.create_task(b.run())
    rng = np.random.default_rng(1)
    answers = []
    for n in (8, 3, 5):
        answers += await asyncio.gather(*(b.infer(rng.standard_normal(32)) for _ in range(n)))
    runner.cancel()
    print("answers", len(answers))


asyncio.run(main())
