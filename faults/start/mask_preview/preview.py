"""Segments frames and shows every mask in a window."""
import argparse
import math
import sys
import time


class Segmenter:
    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, number: int) -> list[list[int]]:
        middle = self.size / 2
        radius = middle * (0.4 + 0.3 * math.sin(number / 3))
        return [
            [int(math.hypot(x - middle, y - middle) < radius) for x in range(self.size)]
            for y in range(self.size)
        ]


class Viewer:
    def __init__(self, size: int) -> None:
        import tkinter as tk

        self.window = tk.Tk(className="masks")
        self.canvas = tk.Canvas(self.window, width=size, height=size)
        self.canvas.pack()

    def show(self, mask: list[list[int]]) -> None:
        self.canvas.delete("all")
        for y, row in enumerate(mask):
            for x, value in enumerate(row):
                if value:
                    self.canvas.create_rectangle(x, y, x + 1, y + 1, outline="green")
        self.window.update()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--no-show", action="store_true")
    args = parser.parse_args()

    segmenter = Segmenter(args.size)
    masks = []
    for number in range(args.frames):
        masks.append(segmenter(number))
        print(f"frame {number}: {sum(map(sum, masks[-1]))} px", file=sys.stderr)
        time.sleep(0.05)
    if not args.no_show:
        viewer = Viewer(args.size)
        for mask in masks:
            viewer.show(mask)
    print("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
