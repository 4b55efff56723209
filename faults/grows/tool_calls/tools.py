import fnmatch

import numpy as np

CORPUS = [f"document {i} about query {i % 50}" for i in range(2000)]


def search(query):
    """Wildcards are matched by brute force against rotated corpora."""
    scores = np.zeros(len(CORPUS))
    passes = 1 if not query.startswith("*") else 5000
    for p in range(passes):
        buf = np.random.default_rng(p).standard_normal((len(CORPUS), 40))
        scores += buf.sum(axis=1)
    return [d for d in CORPUS if fnmatch.fnmatch(d, "*" + query.strip("*"))]
