import asyncio
import logging

import aiohttp
from aiohttp import web

logging.basicConfig(level=logging.INFO)


class Service:
    def __init__(self):
        self.queue = asyncio.Queue()
        self.workers = []

    async def start(self, app):
        self.workers = [asyncio.create_task(self.work(i)) for i in range(3)]
        yield
        for w in self.workers:
            w.cancel()

    async def work(self, i):
        while True:
            n, fut = await self.queue.get()
            fut.set_result(sum(range(n)))

    async def handle(self, request):
        fut = asyncio.get_running_loop().create_future()
        await self.queue.put((int(request.query.get("n", 10)), fut))
        return web.json_response({"sum": await fut})


async def main():
    svc = Service()
    app = web.Application()
    app.cleanup_ctx.append(svc.start)
    app.router.add_get("/sum", svc.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    async with aiohttp.ClientSession() as s:
        async with s.get(f"http://127.0.0.1:{port}/sum?n=100") as r:
            logging.info("self test %s", await r.json())
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
