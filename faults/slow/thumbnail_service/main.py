import asyncio
import time


def upload(name):
    time.sleep(30)


async def handle(name):
    print("start", name, flush=True)
    await asyncio.sleep(0.05)
    upload(name)
    print("end", name, flush=True)


async def main():
    await asyncio.gather(*(handle(f"image-{n}") for n in range(5)))


asyncio.run(main())
