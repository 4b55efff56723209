import collections
import re
import time


class BpeTrainer:
    def __init__(self, vocab_size):
        self.vocab_size = vocab_size
        self.merges = []

    def fit(self, text):
        words = collections.Counter(tuple(w) + ("</w>",) for w in re.findall(r"\w+", text.lower()))
        vocab = {s for w in words for s in w}
        while len(vocab) < self.vocab_size:
            pairs = collections.Counter()
            for w, n in words.items():
                for pair in zip(w, w[1:]):
                    pairs[pair] += n
            best = max(pairs, key=pairs.get, default=("", ""))
            self.merges.append(best)
            vocab.add("".join(best))
            words = collections.Counter({self._merge(w, best): n for w, n in words.items()})
        return self

    @staticmethod
    def _merge(word, pair):
        out, i = [], 0
        while i < len(word):
            if word[i:i + 2] == pair:
                out.append("".join(pair))
                i += 2
            else:
                out.append(word[i])
                i += 1
        return tuple(out)


def main():
    text = " ".join(f"token{i % 40} merges into larger pieces of text" for i in range(400))
    print("training tokenizer", flush=True)
    t0 = time.time()
    trainer = BpeTrainer(vocab_size=1000).fit(text)
    print(f"{len(trainer.merges)} merges in {time.time() - t0:.1f} s")


if __name__ == "__main__":
    main()
