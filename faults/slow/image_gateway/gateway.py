"""Takes pictures orders over HTTP and lets a renderer do them. A few clients are simulated here."""
import argparse
import asyncio
import logging
import subprocess
import sys

import aiohttp
from aiohttp import web

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
log = logging.getLogger("gateway")


class Gateway:
    def __init__(self):
        self.served = 0
        self.app = web.Application()
        self.app.router.add_get("/health", self.health)
        self.app.router.add_post("/render", self.render)

    async def health(self, request):
        return web.json_response({"served": self.served})

    async def render(self, request):
        order = await request.json()
        log.info("order %s", order["seed"])
        done = subprocess.run(
            [sys.executable, "render.py", str(order["steps"]), str(order["seed"])], capture_output=True, text=True, check=True
        )
        self.served += 1
        return web.json_response({"value": float(done.stdout)})


async def client(session, base, seed):
    await asyncio.sleep(0.3 + seed * 0.1)
    async with session.post(f"{base}/render", json={"steps": 3 if seed == 0 else 80, "seed": seed}) as response:
        log.info("client %d got %s", seed, await response.json())


async def probe(session, base):
    while True:
        async with session.get(f"{base}/health") as response:
            log.info("health %s", await response.json())
        await asyncio.sleep(0.25)


async def main(requests):
    runner = web.AppRunner(Gateway().app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = "http://127.0.0.1:%d" % site._server.sockets[0].getsockname()[1]
    async with aiohttp.ClientSession() as session:
        watching = asyncio.create_task(probe(session, base))
        await asyncio.gather(*(client(session, base, seed) for seed in range(requests)))
        watching.cancel()
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=2)
    asyncio.run(main(parser.parse_args().requests))
