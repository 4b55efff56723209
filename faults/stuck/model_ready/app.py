import argparse
import threading
import time
import traceback


class ModelHost:
    """Loads the model in the background; requests wait until it can be used."""

    SIZES = {"small": 40_000, "large": 400_000}

    def __init__(self, name):
        self.name = name
        self.changed = threading.Condition()
        self.weights = None

    def load(self):
        weights = [(k * 2654435761 % 1000) / 1000 for k in range(self.SIZES[self.name])]
        with self.changed:
            self.weights = weights
            self.changed.notify_all()
        print("model", self.name, "is loaded", flush=True)

    def infer(self, prompt):
        with self.changed:
            self.changed.wait()
        return sum(self.weights[ord(character) % len(self.weights)] for character in prompt)


class Tokenizer:
    def __init__(self, path):
        self.path = path
        try:
            self.words = open(path).read().split()
        except OSError:
            traceback.print_exc()
            print("no vocabulary, falling back to characters")
            self.words = []
        time.sleep(0.5)

    def __call__(self, text):
        return [word if word in self.words else "".join(reversed(word)) for word in text.split()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="large", choices=ModelHost.SIZES)
    parser.add_argument("--prompts", nargs="*", default=["a cat on a roof", "two boats"])
    options = parser.parse_args()
    host = ModelHost(options.model)
    threading.Thread(target=host.load, name="loader").start()
    tokenizer = Tokenizer("vocabulary.txt")
    for prompt in options.prompts:
        print(prompt, "->", round(host.infer(" ".join(tokenizer(prompt))), 3), flush=True)


if __name__ == "__main__":
    main()
