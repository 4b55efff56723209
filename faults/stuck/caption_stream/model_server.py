"""A small captioning server; the answer comes as a stream of lines. Ends with its standard input."""
import asyncio
import json
import sys

from aiohttp import web


class Captioner:
    def __init__(self, slots=1):
        self.queue = asyncio.Queue()
        self.words = "a photograph of an object on a table near window".split()

    async def caption(self, request):
        job = await request.json()
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)
        for index in range(4 + job["image"] % 5):
            if index == 6:
                await self.queue.get()
            await asyncio.sleep(0.03)
            await answer.write(json.dumps({"token": self.words[index % len(self.words)]}).encode() + b"\n")
        await answer.write_eof()
        return answer


async def main():
    captioner = Captioner()
    app = web.Application()
    app.router.add_post("/caption", captioner.caption)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


asyncio.run(main())
