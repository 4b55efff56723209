"""Two processes share frames in memory; the reader adds up their brightness."""
import multiprocessing
import time
from multiprocessing import shared_memory

SIZE = 64 * 1024


def reader(name, ready, total, frames):
    memory = shared_memory.SharedMemory(name)
    for _ in range(frames):
        ready.acquire()
        total.value += sum(memory.buf[:256])
    memory.close()


def main(frames=16):
    context = multiprocessing.get_context("spawn")
    memory = shared_memory.SharedMemory(create=True, size=SIZE)
    ready = context.Semaphore(0)
    total = context.Value("q", 0)
    process = context.Process(target=reader, args=(memory.name, ready, total, frames))
    process.start()
    for frame in range(frames):
        memory.buf[:256] = bytes([frame]) * 256
        time.sleep(0.45)
        ready.release()
    process.join()
    memory.close()
    print("brightness", total.value, "status", process.exitcode)


if __name__ == "__main__":
    main()
