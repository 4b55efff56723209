"""Reads pages with a remote OCR service; producers and consumers on one loop."""
import asyncio
import csv
import io
import logging

import aiohttp

import backend

log = logging.getLogger("ocr")
PAGES = """name,dpi
cover,300
imprint,300
chapter1,auto
chapter2,300
"""


def pages() -> list[dict]:
    rows = []
    for row in csv.DictReader(io.StringIO(PAGES)):
        if row["dpi"].isdigit():
            row["dpi"] = int(row["dpi"])
        rows.append(row)
    return rows


async def read(session: aiohttp.ClientSession, page: dict) -> str:
    async with session.post("/v1/ocr", json=page) as answer:
        if answer.status >= 400:
            log.error("page %s: %d %s", page["name"], answer.status, await answer.text())
        answer.raise_for_status()
        return (await answer.json())["text"]


async def consume(queue: asyncio.Queue, session: aiohttp.ClientSession) -> None:
    while True:
        page = await queue.get()
        if page is None:
            return
        log.info("%s", await read(session, page))


async def main() -> None:
    logging.basicConfig(level=logging.INFO)
    queue: asyncio.Queue = asyncio.Queue()
    async with aiohttp.ClientSession(f"http://{backend.start()}") as session:
        consumer = asyncio.create_task(consume(queue, session))
        for page in pages():
            await queue.put(page)
            await asyncio.sleep(0.1)
        await queue.put(None)
        await consumer


if __name__ == "__main__":
    asyncio.run(main())
