"""Writes one caption per prompt; --raw leaves out the clean-up."""
import argparse
import json
import logging
import pathlib
import time
import warnings

log = logging.getLogger("caption")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=pathlib.Path, required=True)
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--beams", type=int, default=3)
    return parser.parse_args()


def decode(prompt: str, beams: int) -> str:
    best = prompt
    for beam in range(beams):
        candidate = "_".join(prompt.split()) + f"_{beam}"
        if len(candidate) > len(best):
            best = candidate
        time.sleep(0.05)
    return best


def finish(captions: list[str], raw: bool) -> list[str]:
    if raw:
        return captions
    from captioner.postprocess import tidy

    return [tidy(caption) for caption in captions]


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    args = parse()
    prompts = json.loads(args.prompts.read_text())
    warnings.warn("beam search without a length penalty will be removed", FutureWarning)
    log.info("%d prompts, %d beams", len(prompts), args.beams)
    captions = []
    for number, prompt in enumerate(prompts, 1):
        captions.append(decode(prompt, args.beams))
        log.info("%d/%d decoded", number, len(prompts))
    for line in finish(captions, args.raw):
        print(line)


if __name__ == "__main__":
    main()
