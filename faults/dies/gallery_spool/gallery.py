"""Keeps a spool file per image until the gallery page is complete."""
import argparse
import resource
import tempfile


class Spool:
    def __init__(self) -> None:
        self.parts = []

    def add(self, pixels: bytes) -> None:
        part = tempfile.TemporaryFile(prefix="part-")
        part.write(pixels)
        self.parts.append(part)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--descriptors", type=int, default=128)
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (args.descriptors, hard))
    spool = Spool()
    for number in range(args.images):
        spool.add(bytes([number % 256]) * 512)
        if number % 25 == 0:
            print("image", number)
    print("complete", len(spool.parts))


if __name__ == "__main__":
    main()
