"""Sums mask areas of two cameras under one shared counter."""
import multiprocessing as mp


class Totals:
    def __init__(self) -> None:
        self.guard = mp.Lock()
        self.area = mp.Value("i", 0)

    def snapshot(self) -> int:
        with self.guard:
            return self.area.value

    def add(self, area: int) -> None:
        with self.guard:
            self.area.value += area
            if self.area.value > 400:
                print("so far", self.snapshot())


def camera(totals: Totals, step: int) -> None:
    for frame in range(20):
        totals.add(frame * step)


if __name__ == "__main__":
    shared = Totals()
    cameras = [mp.Process(target=camera, args=(shared, n)) for n in (2, 3)]
    for item in cameras:
        item.start()
    for item in cameras:
        item.join()
    print("area", shared.snapshot())
