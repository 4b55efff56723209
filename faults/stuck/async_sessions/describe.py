"""Describes images with a model that takes a few requests at a time."""
import argparse
import asyncio
import logging
import random

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
log = logging.getLogger("describe")


class Refused(Exception):
    pass


class Model:
    def __init__(self, slots):
        self.slots = asyncio.Semaphore(slots)

    async def describe(self, image):
        await self.slots.acquire()
        text = await self.generate(image)
        self.slots.release()
        return text

    async def generate(self, image):
        await asyncio.sleep(0.05 + random.Random(image).random() * 0.1)
        if image % 7 == 6:
            raise Refused(f"image {image} was refused by the safety checker")
        return f"picture {image} with {image * 13 % 9} objects"


async def worker(model, images, texts):
    while True:
        image = await images.get()
        try:
            texts[image] = await model.describe(image)
        except Refused as problem:
            log.warning("%s", problem)
            texts[image] = None
        finally:
            images.task_done()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=5)
    options = parser.parse_args()
    model, images, texts = Model(slots=3), asyncio.Queue(), {}
    for image in range(options.images):
        images.put_nowait(image)
    workers = [asyncio.create_task(worker(model, images, texts), name=f"describe-{n}") for n in range(5)]
    await images.join()
    for task in workers:
        task.cancel()
    log.info("%d images, %d described", len(texts), sum(text is not None for text in texts.values()))


if __name__ == "__main__":
    asyncio.run(main())
