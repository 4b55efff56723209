"""Look at the headers of many images and download the small ones."""
import subprocess
import sys

import requests
from requests.adapters import HTTPAdapter

LIMIT = 50_000


def session(connections):
    s = requests.Session()
    # be polite: never more than this many connections to one host
    s.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=connections, pool_block=True))
    return s


class Crawler:
    def __init__(self, base):
        self.base = base
        self.http = session(4)
        self.kept = {}
        self.skipped = []

    def visit(self, name):
        r = self.http.get(f"{self.base}/{name}", stream=True, timeout=10)
        size = int(r.headers["Content-Length"])
        if size > LIMIT:
            self.skipped.append(r)
            return
        self.kept[name] = r.content


def main():
    srv = subprocess.Popen([sys.executable, "images.py"], stdout=subprocess.PIPE, text=True)
    crawler = Crawler(f"http://127.0.0.1:{int(srv.stdout.readline())}")
    for i in range(40):
        crawler.visit(f"img{i:03d}.jpg")
        print(f"img{i:03d}: kept {len(crawler.kept)} skipped {len(crawler.skipped)}", flush=True)
    srv.terminate()


if __name__ == "__main__":
    main()
