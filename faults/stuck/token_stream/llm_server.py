import asyncio
import json

from aiohttp import web

WORDS = "a pipe joins two programs and keeps the bytes in order".split()


async def generate(request):
    await request.json()
    resp = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await resp.prepare(request)
    slots = request.app["slots"]
    for w in WORDS:
        grant = await slots.get()  # the scheduler grants one decode step at a time
        await resp.write(b"data: " + json.dumps({"token": w, "step": grant}).encode() + b"\n\n")
    return resp


async def scheduler(app):
    for step in range(6):
        await asyncio.sleep(0.1)
        await app["slots"].put(step)


async def start(app):
    app["slots"] = asyncio.Queue()
    app["task"] = asyncio.create_task(scheduler(app))


async def main():
    app = web.Application()
    app.on_startup.append(start)
    app.router.add_post("/generate", generate)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
