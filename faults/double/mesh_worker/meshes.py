"""Packs meshes in a process and sends them on as they come back."""
import multiprocessing
import threading
import warnings

from packer import pack

MESHES = [(0, 300), (1, 420), (2, 380), (3, 90), (4, 250)]


class Sender(threading.Thread):
    """Counts what has come back."""

    def __init__(self, packed) -> None:
        super().__init__(name="sender")
        self.packed = packed
        self.bytes = 0

    def run(self) -> None:
        for _ in MESHES:
            number, size = self.packed.get()
            self.bytes += size
            print(f"mesh {number}: {size} bytes", flush=True)


def main() -> None:
    warnings.warn("vertices as float64 are deprecated", DeprecationWarning)
    context = multiprocessing.get_context("spawn")
    meshes, packed = context.Queue(), context.Queue()
    worker = context.Process(target=pack, args=(meshes, packed), daemon=True)
    worker.start()
    sender = Sender(packed)
    sender.start()
    for mesh in MESHES:
        meshes.put(mesh)
    sender.join()
    print(f"{sender.bytes} bytes")


if __name__ == "__main__":
    main()
