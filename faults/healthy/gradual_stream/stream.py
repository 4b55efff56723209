"""Runs requests in an event loop; some of them wait for others, and a timer opens the gate."""
import asyncio


class Gate:
    def __init__(self, seconds):
        self.open = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, self.open.set)


class Engine:
    def __init__(self):
        self.slots = asyncio.Semaphore(2)
        self.changed = asyncio.Condition()
        self.done = []

    async def run(self, number, gate):
        async with self.slots:
            await gate.open.wait()
            await asyncio.sleep(0.3)
        async with self.changed:
            self.done.append(number)
            self.changed.notify_all()

    async def all_done(self, count):
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.done) == count)


async def main(count=8):
    engine, gate = Engine(), Gate(7.0)
    tasks = [asyncio.create_task(engine.run(number, gate)) for number in range(count)]
    await engine.all_done(count)
    await asyncio.gather(*tasks)
    print("served", sorted(engine.done))


asyncio.run(main())
