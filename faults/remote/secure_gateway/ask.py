"""Asks several questions at once through the gateway."""
import asyncio
import dataclasses
import logging
import sys

import aiohttp

import backend

log = logging.getLogger("ask")


@dataclasses.dataclass
class Settings:
    base: str
    model: str = "llama-3.1-8b-instruct"
    parallel: int = 2


class Gateway:
    def __init__(self, settings: Settings, session: aiohttp.ClientSession) -> None:
        self.settings, self.session = settings, session
        self.slots = asyncio.Semaphore(settings.parallel)

    async def ask(self, question: str) -> str:
        payload = {"model": self.settings.model, "messages": [{"role": "user", "content": question}]}
        async with self.slots:
            async with self.session.post(f"{self.settings.base}/v1/chat/completions", json=payload) as answer:
                answer.raise_for_status()
                return (await answer.json())["choices"][0]["message"]["content"]


async def main() -> int:
    logging.basicConfig(level=logging.INFO)
    settings = Settings(base=f"https://{backend.start()}")
    questions = ["Is it raining?", "Is the shop open?", "Is the soup hot?"]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        gateway = Gateway(settings, session)
        log.info("%d questions to %s", len(questions), settings.model)
        answers = await asyncio.gather(*map(gateway.ask, questions))
    for question, answer in zip(questions, answers):
        print(question, answer)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
