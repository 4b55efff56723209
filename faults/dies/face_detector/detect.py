"""Finds faces in the pictures of a folder; a thread loads pictures, another runs the model."""
import logging
import pathlib
import queue
import sys
import threading

import numpy as np
import onnxruntime

log = logging.getLogger("faces")
MODEL = pathlib.Path(__file__).with_name("models") / "scrfd_2.5g.onnx"


class Detector(threading.Thread):
    def __init__(self, pictures: "queue.Queue[np.ndarray | None]") -> None:
        super().__init__(name="detector")
        self.pictures = pictures
        self.faces: list[int] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.detect()
        except Exception as error:
            log.exception("detector ended")
            self.error = error

    def detect(self) -> None:
        session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        while (picture := self.pictures.get()) is not None:
            scores = session.run(None, {name: picture[None]})[0]
            self.faces.append(int((scores > 0.5).sum()))


def load(count: int, pictures: "queue.Queue[np.ndarray | None]") -> None:
    rng = np.random.default_rng(5)
    for number in range(count):
        pictures.put(rng.random((3, 64, 64), dtype=np.float32))
        log.info("picture %d loaded", number)
    pictures.put(None)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(threadName)s %(levelname)s %(message)s")
    pictures: "queue.Queue[np.ndarray | None]" = queue.Queue()
    detector = Detector(pictures)
    detector.start()
    load(4, pictures)
    detector.join()
    if detector.error is not None:
        return 1
    print(f"{sum(detector.faces)} faces")
    return 0


if __name__ == "__main__":
    sys.exit(main())
