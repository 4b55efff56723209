"""Takes depth frames, adapts the exposure to the scene and reports every half second."""
import threading
import time

from build_plugin import build

build()
import depthcam  # noqa: E402


class Reporter(threading.Thread):
    def __init__(self):
        super().__init__(name="reporter", daemon=True)
        self.frames = 0

    def run(self):
        started = time.monotonic()
        while True:
            time.sleep(0.5)
            print(f"{self.frames} frames after {time.monotonic() - started:.1f} s", flush=True)


class Exposure:
    def __init__(self, target=1400):
        self.target = target
        self.value = 2000

    def adapt(self, mean):
        if mean < self.target:
            self.value = int(self.value * 1.4)
        else:
            self.value = int(self.value * 0.95)
        depthcam.exposure(self.value)


def main():
    reporter = Reporter()
    reporter.start()
    depthcam.open_camera()
    control = Exposure()
    window = []
    for index in range(400):
        window.append(depthcam.grab(index))
        reporter.frames += 1
        if len(window) == 12:
            control.adapt(sum(window) / len(window) - 400)
            window.clear()
    print("done", reporter.frames)


if __name__ == "__main__":
    main()
