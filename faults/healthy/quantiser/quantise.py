import argparse
import json
import math
import subprocess
import sys
import time


def quantise(weights, bits):
    scale = max(abs(weight) for weight in weights) / (2 ** (bits - 1) - 1)
    return sum((weight - round(weight / scale) * scale) ** 2 for weight in weights)


def layer(number, bits, seconds):
    end, error, rounds = time.monotonic() + seconds, 0.0, 0
    while time.monotonic() < end or rounds == 0:
        error += quantise([math.sin(number + k + rounds) for k in range(4000)], bits)
        rounds += 1
    return error / rounds


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--layer", type=int)
    options = parser.parse_args()
    if options.layer is not None:
        print(layer(options.layer, options.bits, 8.0))
    else:
        done = subprocess.run(
            [sys.executable, __file__, "--bits", str(options.bits), "--layer", "3"], capture_output=True, text=True, check=True
        )
        print(json.dumps({"layer": 3, "error": round(float(done.stdout), 4)}))
