"""Caption service: POST /caption, GET /health. Started together with its probe."""
import asyncio
import sys

from aiohttp import web

from captioner import Captioner

routes = web.RouteTableDef()


@routes.get("/health")
async def health(request):
    return web.json_response({"ok": True})


@routes.post("/caption")
async def caption(request):
    body = await request.json()
    text = request.app["model"].generate(body["seed"], body["tokens"])
    return web.json_response({"caption": text})


async def main():
    app = web.Application()
    app["model"] = Captioner()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    print("listening", flush=True)
    probe = await asyncio.create_subprocess_exec(sys.executable, "probe.py", str(port))
    await probe.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
