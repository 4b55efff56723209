"""Restores old photographs. What goes wrong with one of them is logged, and the next one comes."""
import logging
import subprocess
import sys
import threading
import time
import traceback
import warnings

logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(message)s")
log = logging.getLogger("restore")


class DeviceOutOfMemory(RuntimeError):
    pass


def restore(name, tile):
    if tile > 512:
        raise DeviceOutOfMemory(f"CUDA out of memory. Tried to allocate {tile * 4}.00 MiB, trying a smaller tile")
    if name.endswith("3"):
        return 1 / (int(name[-1]) - 3)
    time.sleep(0.2)
    return tile


def robust(name):
    for tile in (1024, 512):
        try:
            return restore(name, tile)
        except DeviceOutOfMemory as error:
            log.warning("%s: %s", name, error)
        except ZeroDivisionError:
            log.exception("%s has no contrast, it is copied as it is", name)
            return 0


def probe():
    done = subprocess.run([sys.executable, "-c", "import nvidia_driver_probe"], capture_output=True, text=True)
    log.error("probe: %s", done.stderr.strip().splitlines()[-1])


def main():
    warnings.warn("'beta_schedule' is deprecated and will be removed", FutureWarning, stacklevel=1)
    watcher = threading.Thread(target=lambda: {}["gpu0"], name="gpu-watch")
    threading.excepthook = lambda arguments: traceback.print_exception(arguments.exc_value)
    watcher.start()
    probe()
    for number in range(5):
        log.info("photo%d: tile %s", number, robust(f"photo{number}"))
    time.sleep(6)
    log.info("restored; 1 copied, 0 failed")


if __name__ == "__main__":
    main()
