import zlib

import numpy as np


def featurize(text, dim=256):
    v = np.zeros(dim, np.float32)
    for a, b in zip(text, text[1:]):
        v[zlib.crc32((a + b).encode()) % dim] += 1
    return v / (np.linalg.norm(v) or 1)


def encode_shard(docs, index, out):
    print(f"shard {index}: {len(docs)} documents", flush=True)
    out.put((index, np.stack([featurize(d) for d in docs])))
    print(f"shard {index}: done", flush=True)
