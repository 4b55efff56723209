import math
import random
import sys
import time


class Kalman:
    def __init__(self):
        self.state, self.variance = 0.0, 1.0

    def update(self, measured):
        gain = self.variance / (self.variance + 0.5)
        self.state += gain * (measured - self.state)
        self.variance = (1 - gain) * self.variance + 0.01
        return self.state


def main(video, frames):
    source, filters = random.Random(video), [Kalman() for _ in range(200)]
    for frame in range(frames):
        for number, kalman in enumerate(filters):
            for _ in range(8):
                kalman.update(math.sin(frame / 30 + number) + source.gauss(0, 0.1))
        time.sleep(0.02)
        print(f"frame {frame}: {sum(k.state for k in filters):.3f}")


main(sys.argv[1], int(sys.argv[2]))
