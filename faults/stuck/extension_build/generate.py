import argparse
import logging
import zlib

import extension

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
log = logging.getLogger("generate")


class Pipeline:
    def __init__(self, name="upfirdn_ext"):
        log.info("loading the text encoder")
        self.vocabulary = {word: index for index, word in enumerate("a the of on in red tree".split())}
        log.info("loading %s (built on first use)", name)
        self.filter = extension.load(name)

    def run(self, prompt, steps=8):
        value = zlib.crc32(prompt.encode()) / 2**32
        for _ in range(steps):
            value = sum(tap * value for tap in self.filter) % 1.0
        return value


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompts", required=True)
    options = parser.parse_args()
    prompts = open(options.prompts).read().splitlines()
    log.info("%d prompts", len(prompts))
    try:
        import xformers  # noqa: F401
    except ImportError as error:
        log.warning("memory-efficient attention is off: %s", error)
    pipeline = Pipeline()
    for prompt in prompts:
        log.info("%s -> %.4f", prompt, pipeline.run(prompt))


if __name__ == "__main__":
    main()
