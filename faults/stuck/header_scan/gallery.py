"""Serves pictures. Ends with its standard input."""
import asyncio
import sys

from aiohttp import web

PICTURE = bytes(range(256)) * 16_000


async def picture(request):
    number = int(request.match_info["number"])
    return web.Response(body=PICTURE if number % 3 else PICTURE[:1000], content_type="image/png", headers={"X-Size": f"{number * 8}x{number * 6}"})


async def main():
    app = web.Application()
    app.router.add_get("/picture/{number}", picture)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


asyncio.run(main())
