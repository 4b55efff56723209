"""Quantises the layers of a model with a small native tool."""
import argparse
import json
import logging
import random
import subprocess

log = logging.getLogger("prepare")


def build(name: str) -> str:
    with open("Makefile.json") as file:
        tool = json.load(file)["tools"][name]
    subprocess.check_call(["cc", *tool["flags"], "-o", name, tool["source"]])
    return f"./{name}"


def layer(number: int) -> list[int]:
    rng = random.Random(number)
    return [rng.randrange(200 if number < 2 else 4000) for _ in range(64)]


def quantise(tool: str, values: list[int]) -> list[int]:
    text = "\n".join(map(str, values))
    done = subprocess.run([tool], input=text, capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=int, default=2)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    tool = build("quantize")
    total = 0
    for number in range(args.layers):
        values = quantise(tool, layer(number))
        total += len(values)
        log.info("layer %d: %d values, largest %d", number, len(values), max(values))
    log.info("%d values", total)


if __name__ == "__main__":
    main()
