"""Generates pictures over the web interface and shows the progress meanwhile."""
import asyncio
import contextlib
import sys

import aiohttp

import backend

LIMIT = 4.0


class Client:
    def __init__(self, address: str, session: aiohttp.ClientSession) -> None:
        self.base, self.session = f"http://{address}/sdapi/v1", session

    async def txt2img(self, prompt: str) -> list[str]:
        payload = {"prompt": prompt, "steps": 20, "sampler_name": "Euler a"}
        async with self.session.post(f"{self.base}/txt2img", json=payload) as answer:
            answer.raise_for_status()
            return (await answer.json())["images"]

    async def watch(self) -> None:
        while True:
            async with self.session.get(f"{self.base}/progress") as answer:
                state = await answer.json()
            print(f"progress {state['progress']:.0%}, step {state['state']['sampling_step']}/20", file=sys.stderr)
            await asyncio.sleep(0.5)


async def main() -> None:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=2)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        client = Client(backend.start(), session)
        watcher = asyncio.create_task(client.watch())
        try:
            for prompt in ("a lighthouse", "a mill"):
                async with asyncio.timeout(LIMIT):
                    images = await client.txt2img(prompt)
                print(prompt, len(images))
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher


asyncio.run(main())
