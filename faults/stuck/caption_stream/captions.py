import argparse
import asyncio
import json
import subprocess
import sys

import aiohttp


async def caption(session, base, image):
    words = []
    async with session.post(f"{base}/caption", json={"image": image}) as response:
        response.raise_for_status()
        async for line in response.content:
            words.append(json.loads(line)["token"])
    return " ".join(words)


async def run(base, images):
    unlimited = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=unlimited) as session:
        for image in range(images):
            print(f"image {image}: {await caption(session, base, image)}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=3)
    options = parser.parse_args()
    server = subprocess.Popen([sys.executable, "model_server.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        asyncio.run(run(f"http://127.0.0.1:{port}", options.images))
    finally:
        server.stdin.close()
        server.wait(5)


if __name__ == "__main__":
    main()
