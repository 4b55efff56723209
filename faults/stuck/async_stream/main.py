import asyncio

from peer import silent_server


async def fetch(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    await writer.drain()
    return await reader.readline()


async def main():
    port = silent_server()
    print(await asyncio.gather(*(fetch(port) for _ in range(3))))


asyncio.run(main())
