import tempfile
import threading
import time

from decoder import BeamDecoder


def heartbeat(stop):
    t0 = time.monotonic()
    while not stop.wait(1.0):
        print(f"alive {time.monotonic() - t0:.0f} s", flush=True)


def main():
    stop = threading.Event()
    threading.Thread(target=heartbeat, args=(stop,), daemon=True).start()
    with tempfile.TemporaryDirectory() as tmp:
        dec = BeamDecoder(tmp)
        bias = [(i * 37 % 101) / 101 for i in range(500)]
        print("decoding", flush=True)
        path = dec.decode(lambda tok, depth: bias[(tok + depth) % len(bias)], depths=6, vocab=500)
        print("path", path)
    stop.set()


if __name__ == "__main__":
    main()
