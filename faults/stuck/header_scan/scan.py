"""Reads the sizes of the pictures of a gallery from their headers, to make batches of one size."""
import argparse
import asyncio
import collections
import subprocess
import sys

import aiohttp


class Scanner:
    def __init__(self, session, base):
        self.session = session
        self.base = base
        self.pictures = {}

    async def size(self, number):
        response = await self.session.get(f"{self.base}/picture/{number}")
        self.pictures[number] = response
        if response.status == 200:
            return response.headers["X-Size"]
        return None


async def scan(base, pictures):
    connector = aiohttp.TCPConnector(limit=4)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
        scanner = Scanner(session, base)
        sizes = collections.Counter()
        for number in range(1, pictures + 1):
            sizes[await scanner.size(number)] += 1
            print("picture", number, flush=True)
        return sizes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=3)
    options = parser.parse_args()
    gallery = subprocess.Popen([sys.executable, "gallery.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = int(gallery.stdout.readline())
        print(asyncio.run(scan(f"http://127.0.0.1:{port}", options.pictures)))
    finally:
        gallery.stdin.close()
        gallery.wait(10)


if __name__ == "__main__":
    main()
