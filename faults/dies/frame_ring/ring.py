"""Hands frames to a consumer process through a ring of shared buffers."""
import argparse
import multiprocessing
import time
from multiprocessing.shared_memory import SharedMemory

FRAME = 1024 * 1024


def consume(names: list[str], tasks, results, unused) -> None:
    for end in unused:
        end.close()
    slots = {name: SharedMemory(name) for name in names}
    while (name := tasks.recv()) is not None:
        results.send((name, slots[name].buf[0], slots[name].buf[FRAME - 1]))
    for slot in slots.values():
        slot.close()


class Ring:
    def __init__(self, count: int) -> None:
        self.slots = [SharedMemory(create=True, size=FRAME) for _ in range(count)]

    def put(self, number: int) -> str:
        slot = self.slots[number % len(self.slots)]
        slot.buf[:FRAME] = bytes([number % 256]) * FRAME
        return slot.name

    def close(self) -> None:
        for slot in self.slots:
            slot.close()
            slot.unlink()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--frames", type=int, default=20)
    args = parser.parse_args()
    ring = Ring(args.slots)
    task_out, task_in = multiprocessing.Pipe(duplex=False)
    result_out, result_in = multiprocessing.Pipe(duplex=False)
    names = [slot.name for slot in ring.slots]
    consumer = multiprocessing.Process(
        target=consume,
        args=(names, task_out, result_in, (task_in, result_out)), daemon=True,
    )
    consumer.start()
    for number in range(args.frames):
        task_in.send(ring.put(number))
        print("frame %d: %s %d %d" % (number, *result_out.recv()), flush=True)
        time.sleep(0.05)
    task_in.send(None)
    consumer.join()
    ring.close()


if __name__ == "__main__":
    main()
