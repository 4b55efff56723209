import asyncio
import json
import sys

import aiohttp


class ChatClient:
    def __init__(self, base):
        self.base = base
        # long generations: the default total of five minutes is too short for us
        self.timeout = aiohttp.ClientTimeout(total=None)

    async def stream(self, prompt):
        async with aiohttp.ClientSession(timeout=self.timeout) as session:
            async with session.post(self.base + "/generate", json={"prompt": prompt}) as r:
                async for line in r.content:
                    if line.startswith(b"data:"):
                        yield json.loads(line[5:])["token"]


async def main():
    server = await asyncio.create_subprocess_exec(sys.executable, "llm_server.py", stdout=asyncio.subprocess.PIPE)
    port = int(await server.stdout.readline())
    text = []
    async for token in ChatClient(f"http://127.0.0.1:{port}").stream("Tell me about pipes"):
        text.append(token)
        print(token, end=" ", flush=True)
    print(f"\n{len(text)} tokens")
    server.terminate()
    await server.wait()


if __name__ == "__main__":
    asyncio.run(main())
