import argparse
import hashlib
import tempfile
import time

from spool import Helper


def denoise(image, strength):
    """The stage before the upscaler; its cost depends on the picture."""
    end = time.monotonic() + strength
    state = str(image).encode()
    while time.monotonic() < end:
        state = hashlib.sha256(state).digest()
    return 64 + state[0] % 8, 64


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--factor", type=int, default=4)
    parser.add_argument("--idle", type=float, default=1.0, help="the helper ends after so many seconds without work")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        helper = Helper(folder, options.idle)
        for image in range(options.images):
            size = denoise(image, 0.2 if image != 3 else 1.6)
            answer = helper.request(f"image-{image}", size=size, factor=options.factor)
            print(f"image {image}: {size} -> {answer['size']}", flush=True)
        helper.close()


if __name__ == "__main__":
    main()
