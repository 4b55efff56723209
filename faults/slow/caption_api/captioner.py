import numpy as np

WORDS = "a an the cat dog red small big sits runs on under near table street".split()


class Captioner:
    def __init__(self, dim=384):
        rng = np.random.default_rng(0)
        self.w = (rng.standard_normal((6, dim, dim)) / dim ** 0.5).astype(np.float32)
        self.head = rng.standard_normal((dim, len(WORDS))).astype(np.float32)

    def step(self, h):
        for w in self.w:
            h = np.tanh(h @ w)
        return h

    def generate(self, seed, tokens):
        h = np.random.default_rng(seed).standard_normal((1, self.w.shape[1])).astype(np.float32)
        out = []
        for _ in range(tokens):
            h = self.step(h) + 0.01 * h
            out.append(WORDS[int((h @ self.head).argmax())])
        return " ".join(out[-8:])
