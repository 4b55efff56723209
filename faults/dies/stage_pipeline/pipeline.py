"""Detection, recognition and layout as stages that run side by side."""
import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from stages import detect, layout, recognise

log = logging.getLogger("pipeline")
END = object()


async def stage(
    name: str,
    work: Callable[[dict], Awaitable[dict]],
    source: asyncio.Queue,
    target: asyncio.Queue,
) -> None:
    done = 0
    while (item := await source.get()) is not END:
        await target.put(await work(item))
        done += 1
        if done % 5 == 0:
            log.info("%s: %d pages", name, done)
    await target.put(END)


async def feed(target: asyncio.Queue, pages: int) -> None:
    rng = random.Random(4)
    for number in range(pages):
        await target.put({"page": number, "ink": rng.random()})
        await asyncio.sleep(0.02)
    await target.put(END)


async def collect(source: asyncio.Queue) -> None:
    while (item := await source.get()) is not END:
        print(item["page"], item["text"], item["columns"])


async def main() -> None:
    logging.basicConfig(level=logging.INFO)
    queues = [asyncio.Queue(4) for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        group.create_task(feed(queues[0], 40), name="feed")
        group.create_task(stage("detect", detect, queues[0], queues[1]), name="detect")
        group.create_task(stage("recognise", recognise, queues[1], queues[2]), name="recognise")
        group.create_task(stage("layout", layout, queues[2], queues[3]), name="layout")
        group.create_task(collect(queues[3]), name="collect")


asyncio.run(main())
