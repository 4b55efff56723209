"""Embeds documents as they come in, keeps a lease alive and removes near duplicates at the end."""
import argparse
import asyncio
import time

from embedder.similarity import duplicates, embed


class Lease:
    """The other workers take over when the heartbeat is late."""

    def __init__(self, every=0.5):
        self.every = every
        self.last = time.monotonic()

    async def keep(self):
        while True:
            now = time.monotonic()
            if now - self.last > 3 * self.every:
                print(f"lease: heartbeat came {now - self.last:.1f} s late", flush=True)
            else:
                print("lease renewed", flush=True)
            self.last = now
            await asyncio.sleep(self.every)


async def source(documents, queue):
    for number in range(documents):
        await queue.put(f"document {number} of the archive, with text number {number * 7919}")
        await asyncio.sleep(0.04)
    await queue.put(None)


async def work(queue):
    vectors = []
    while (text := await queue.get()) is not None:
        for part in range(100):
            vectors.append(embed(f"{text} / {part}"))
    print(len(vectors), "parts embedded", flush=True)
    pairs = duplicates(vectors)
    return len(pairs)


async def main(documents):
    queue = asyncio.Queue(8)
    lease = asyncio.create_task(Lease().keep())
    feeding = asyncio.create_task(source(documents, queue))
    print(await work(queue), "duplicates")
    await feeding
    lease.cancel()


parser = argparse.ArgumentParser()
parser.add_argument("--documents", type=int, default=5)
asyncio.run(main(parser.parse_args().documents))
