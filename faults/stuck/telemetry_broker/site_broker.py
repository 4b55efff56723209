"""A broker that restarts its session table now and then, as the real one does."""
import asyncio

sessions = {}


async def handle(reader, writer):
    served = 0
    while True:
        try:
            kind, size = await reader.readexactly(2)
            payload = await reader.readexactly(size)
        except asyncio.IncompleteReadError:
            return
        if kind == 0x10:
            sessions[id(writer)] = payload
            writer.write(bytes([0x20, 0]))
        elif id(writer) in sessions:
            writer.write(bytes([0x40, 1, served % 256]))
            served += 1
            if served == 9:
                sessions.clear()
        await writer.drain()


async def main():
    srv = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(srv.sockets[0].getsockname()[1], flush=True)
    async with srv:
        await srv.serve_forever()


asyncio.run(main())
