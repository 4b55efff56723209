"""Stream transcripts through a clean-up step; the heavy part runs beside the event loop."""
import asyncio
import time

import cleaner


async def ticker(stats):
    while True:
        t0 = time.monotonic()
        await asyncio.sleep(0.5)
        stats["late"] = max(stats["late"], time.monotonic() - t0 - 0.5)
        print(f"in flight {stats['open']}, done {stats['done']}", flush=True)


async def handle(text, stats):
    stats["open"] += 1
    try:
        return await asyncio.to_thread(cleaner.redact, text)
    finally:
        stats["open"] -= 1
        stats["done"] += 1


async def main():
    stats = {"open": 0, "done": 0, "late": 0.0}
    tick = asyncio.create_task(ticker(stats))
    await asyncio.sleep(1.2)
    texts = [f"caller {i} said call me at 555-01{i:02d} or a.b{i}@example.org" for i in range(20)]
    texts[11] = "ref " + "a." * 40 + "a" * 30 + "!"
    done = await asyncio.gather(*(handle(t, stats) for t in texts))
    tick.cancel()
    print(len(done), "transcripts, loop was late by", round(stats["late"], 2), "s")


if __name__ == "__main__":
    asyncio.run(main())
