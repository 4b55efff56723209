"""Embed a batch of captions through the embedding gateway."""
import subprocess
import sys

import numpy as np

from client import EmbeddingClient


def main():
    gw = subprocess.Popen([sys.executable, "gateway.py"], stdout=subprocess.PIPE, text=True)
    port = int(gw.stdout.readline())
    client = EmbeddingClient(f"http://127.0.0.1:{port}/v1/embeddings")
    captions = [f"a photo of object {i}" for i in range(12)]
    try:
        vectors = [client.embed(c) for c in captions]
        print(np.array(vectors).shape)
    finally:
        gw.terminate()


if __name__ == "__main__":
    main()
