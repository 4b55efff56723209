"""Translates the lines of a file."""
import asyncio
import pathlib
import sys

import aiohttp

import backend


async def translate(session: aiohttp.ClientSession, url: str, line: str) -> str:
    payload = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": "Translate."}, {"role": "user", "content": line}],
    }
    async with session.post(url, json=payload) as answer:
        if answer.status != 200:
            print(f"{answer.status}: {await answer.text()}", file=sys.stderr)
        answer.raise_for_status()
        return (await answer.json())["choices"][0]["message"]["content"]


async def worker(session, url: str, lines: asyncio.Queue, done: dict[int, str]) -> None:
    while not lines.empty():
        number, line = lines.get_nowait()
        done[number] = await translate(session, url, line)
        print(f"{number + 1}. {done[number]}")


async def main(path: str) -> None:
    url = f"http://{backend.start()}/v1/chat/completions"
    lines: asyncio.Queue = asyncio.Queue()
    for entry in enumerate(pathlib.Path(path).read_text().splitlines()):
        lines.put_nowait(entry)
    done: dict[int, str] = {}
    async with aiohttp.ClientSession() as session:
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(worker(session, url, lines, done))


asyncio.run(main(sys.argv[1]))
