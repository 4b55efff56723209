"""A line service; the slow part of a request runs in a thread beside the loop."""
import asyncio
import json
import time


class Renderer:
    def render(self, order):
        time.sleep(order["seconds"])
        return {"id": order["id"], "pixels": order["seconds"] * 1000}


async def serve(renderer, reader, writer):
    loop = asyncio.get_running_loop()
    while line := await reader.readline():
        result = await loop.run_in_executor(None, renderer.render, json.loads(line))
        writer.write(json.dumps(result).encode() + b"\n")
        await writer.drain()
    writer.close()


async def order(port, number, seconds):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(json.dumps({"id": number, "seconds": seconds}).encode() + b"\n")
    answer = json.loads(await reader.readline())
    writer.close()
    await writer.wait_closed()
    return answer["pixels"]


async def main():
    renderer = Renderer()
    server = await asyncio.start_server(lambda r, w: serve(renderer, r, w), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pixels = await asyncio.gather(*(order(port, number, seconds) for number, seconds in enumerate((0.3, 7.0, 8.5))))
    server.close()
    print("rendered", sum(pixels), "pixels")


asyncio.run(main())
