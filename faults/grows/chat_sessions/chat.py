from dataclasses import dataclass, field

import numpy as np


@dataclass
class Context:
    tokens: list = field(default_factory=list)
    kv: list = field(default_factory=list)


class Bot:
    LAYERS, HEADS, DIM = 6, 4, 64

    def __init__(self):
        self.contexts = {}
        self.served = 0
        self.emb = np.random.default_rng(1).standard_normal((4000, self.HEADS * self.DIM)).astype(np.float32)

    def context(self, user):
        return self.contexts.setdefault(user, Context())

    def reply(self, user, tokens):
        ctx = self.context(user)
        ctx.tokens.extend(tokens.tolist())
        h = self.emb[ctx.tokens]
        for _ in range(self.LAYERS):
            k, v = np.tanh(h), h * 0.5
            ctx.kv.append((k, v))
            h = h + 0.1 * k - 0.1 * v
        self.served += 1
        return [int(abs(x) * 1000) % 4000 for x in h[-1, :12]]
