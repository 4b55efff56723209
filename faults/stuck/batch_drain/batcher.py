from collections import deque


class TooLong(Exception):
    pass


class Batcher:
    """Packs texts into batches under a token budget."""

    def __init__(self, budget):
        self.budget = budget
        self.pending = deque()
        self.retries = 0

    def add(self, text):
        self.pending.append(text)

    def pack(self):
        batch, used = [], 0
        while self.pending and len(batch) < 8:
            text = self.pending.popleft()
            tokens = len(text) // 3
            if used + tokens > self.budget:
                self.pending.append(text)
                break
            batch.append(text)
            used += tokens
        if not batch:
            raise TooLong(f"{len(self.pending)} texts wait")
        return batch

    def drain(self, model):
        scores = {}
        while self.pending:
            try:
                batch = self.pack()
            except TooLong:
                self.retries += 1
                continue
            for text in batch:
                scores[text] = model(text)
        return scores
