import contextlib
import logging
import multiprocessing as mp

import numpy as np

log = logging.getLogger("isolate")


def _child(conn, fn, args):
    try:
        conn.send(("ok", fn(*args)))
    except Exception as e:  # noqa: BLE001
        conn.send(("error", repr(e)))
    finally:
        conn.close()


def isolated(fn):
    """Run the call in a fresh process so that native memory is given back."""

    def call(*args):
        ctx = mp.get_context("fork")
        ours, theirs = ctx.Pipe()
        proc = ctx.Process(target=_child, args=(theirs, fn, args))
        proc.start()
        theirs.close()
        with contextlib.closing(ours):
            proc.join()
            status, value = ours.recv()
        if status == "error":
            raise RuntimeError(value)
        return value

    return call


def upscale(image, factor):
    return np.kron(image, np.ones((factor, factor), image.dtype))


def main():
    logging.basicConfig(level=logging.INFO)
    run = isolated(upscale)
    image = np.random.default_rng(1).random((96, 96)).astype(np.float32)
    for factor in (1, 2, 4, 8):
        out = run(image, factor)
        log.info("x%d -> %s", factor, out.shape)


if __name__ == "__main__":
    main()
