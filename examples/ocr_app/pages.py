"""Makes the scanned pages: some 90 words each, and on some a ruled line."""

import os
import random

# A4 at 150 dots an inch.
WIDTH, HEIGHT = 1240, 1754


def make_pages(folder, count, ruled):
    """Write `count` pages; those whose index is in `ruled` have a line. Returns their paths."""
    paths = []
    for index in range(count):
        path = os.path.join(folder, "page-{:02}.pgm".format(index + 1))
        with open(path, "wb") as file:
            file.write(b"P5\n%d %d\n255\n" % (WIDTH, HEIGHT) + make_page(random.Random(index), index in ruled))
        paths.append(path)
    return paths


def make_page(chance, is_ruled):
    page = bytearray(chance.choices((245, 250, 255), k=WIDTH * HEIGHT))
    for y in range(120, HEIGHT - 150, 150):
        x = 80
        while x < WIDTH - 230:
            for _ in range(chance.randint(4, 12)):
                letter = chance.randint(5, 9)
                top, bottom = y - chance.choice((0, 0, 8)), y + 18 + chance.choice((0, 0, 7))
                for row in range(top, bottom):
                    page[row * WIDTH + x : row * WIDTH + x + letter] = b"\x20" * letter
                x += letter + 3
            x += 22
    if is_ruled:
        row = HEIGHT - 90
        page[row * WIDTH + 80 : row * WIDTH + 1160] = b"\x40" * 1080
    return bytes(page)
