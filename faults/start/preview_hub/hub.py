"""One line per preview frame, for each connected viewer, per model a listener."""
import asyncio
import dataclasses
import json
import logging

log = logging.getLogger("hub")


@dataclasses.dataclass
class Model:
    name: str
    port: int = 0
    viewers: set = dataclasses.field(default_factory=set)


class Hub:
    def __init__(self, models: list[Model]) -> None:
        self.models = models
        self.servers: list[asyncio.Server] = []

    async def open(self, model: Model) -> None:
        async def viewer(reader, writer):
            model.viewers.add(writer)
            try:
                await reader.read()
            finally:
                model.viewers.discard(writer)
                writer.close()

        server = await asyncio.start_server(viewer, "127.0.0.1", model.port)
        self.servers.append(server)
        model.port = server.sockets[0].getsockname()[1]
        log.info("%s on port %d", model.name, model.port)

    async def frames(self, model: Model, count: int) -> None:
        for number in range(count):
            for writer in model.viewers:
                writer.write(json.dumps({"model": model.name, "frame": number}).encode() + b"\n")
            await asyncio.sleep(0.05)


async def main() -> None:
    logging.basicConfig(level=logging.INFO)
    base = Model("sd15")
    hub = Hub([base])
    await hub.open(base)
    reader, writer = await asyncio.open_connection("127.0.0.1", base.port)
    await hub.frames(base, 10)
    log.info("first viewer got %d bytes", len(await reader.read(4096)))

    refiner = Model("refiner", base.port)
    hub.models.append(refiner)
    try:
        await asyncio.gather(*(hub.open(model) for model in hub.models[1:]))
    finally:
        writer.close()
    await hub.frames(refiner, 10)


asyncio.run(main())
