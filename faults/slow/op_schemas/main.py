"""Converter: unpack the operator schemas of this opset, then load and count them."""
import sys
import tempfile

import unpack


def main():
    root = tempfile.mkdtemp(prefix="opset", dir=".")
    unpack.write_package(root, "opset21", modules=900)
    sys.path.insert(0, root)
    import opset21
    print("operators", len(opset21.REGISTRY))


if __name__ == "__main__":
    main()
