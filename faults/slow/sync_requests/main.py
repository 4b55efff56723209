import asyncio
import urllib.request

from peer import silent_server


async def upload(port, name):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{name}", data=b"x" * 1000, method="PUT")
    with urllib.request.urlopen(request) as answer:
        return answer.status


async def heartbeat():
    while True:
        await asyncio.sleep(1)


async def main():
    port = silent_server()
    beat = asyncio.create_task(heartbeat())
    print(await asyncio.gather(*(upload(port, f"frame-{n}") for n in range(4))))
    beat.cancel()


asyncio.run(main())
