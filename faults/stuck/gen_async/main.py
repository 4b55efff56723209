"""Score prompts with a bounded number in flight."""
import asyncio
import logging
import random

import numpy as np

log = logging.getLogger("score")


class Engine:
    def __init__(self, in_flight=4):
        self.gate = asyncio.Semaphore(in_flight)
        self.w = np.random.default_rng(0).standard_normal((64, 64))

    async def score(self, prompt):
        await self.gate.acquire()
        x = np.frombuffer(prompt.encode().ljust(64, b" ")[:64], np.uint8) / 255
        await asyncio.sleep(random.uniform(0.01, 0.05))
        y = float(np.tanh(x @ self.w).sum())
        if len(prompt) > 60:
            raise ValueError(f"prompt of {len(prompt)} characters is too long")
        self.gate.release()
        return y


async def main():
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    engine = Engine()
    prompts = [f"prompt {i} " + "word " * (i % 12) for i in range(60)]
    ok = failed = 0
    for done in asyncio.as_completed([engine.score(p) for p in prompts]):
        try:
            await done
            ok += 1
        except ValueError as e:
            failed += 1
            log.warning("rejected: %s", e)
    print(ok, "scored", failed, "rejected")


if __name__ == "__main__":
    asyncio.run(main())
