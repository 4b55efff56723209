import logging

import requests

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


class EmbeddingClient:
    def __init__(self, url):
        self.url = url
        self.http = requests.Session()
        self.http.headers["User-Agent"] = "caption-index/0.3"

    def embed(self, text):
        reply = self.http.post(self.url, json={"input": text, "model": "mini"})
        reply.raise_for_status()
        logging.info("embedded %r", text)
        return reply.json()["data"]
