"""Finds words on a scanned page, as polygons. Plain Python; a page is a PGM file.

It has the fault that this example is about: for some pages it never comes back.
"""

import re

INK = 128
LETTER_GAP = 8
COVER = 1.6


def detect(path):
    """The polygons of all words, and the page with them drawn over it, as RGB."""
    width, height, pixels = read_page(path)
    ink = without_specks(width, height, pixels.translate(bytes(value < INK for value in range(256))))
    polygons = [grown(hull(corners)) for corners in words(width, height, ink)]
    return {"polygons": polygons, "overlay": drawn(width, height, pixels, polygons)}


def read_page(path):
    with open(path, "rb") as file:
        head = re.match(rb"P5\s(\d+) (\d+)\s255\s", file.readline() + file.readline() + file.readline())
        pixels = file.read()
    if head is None or len(pixels) != int(head[1]) * int(head[2]):
        raise ValueError("{} is no page in PGM".format(path))
    return int(head[1]), int(head[2]), pixels


def without_specks(width, height, ink):
    """A dark pixel stays if two of its neighbours are dark."""
    kept = bytearray(len(ink))
    for at in range(width + 1, len(ink) - width - 1):
        if ink[at]:
            around = sum(ink[at - width - 1 : at - width + 2]) + sum(ink[at + width - 1 : at + width + 2])
            kept[at] = around + ink[at - 1] + ink[at + 1] >= 2
    return bytes(kept)


def words(width, height, ink):
    """The ends of all dark runs, together where they belong to one word."""
    run = re.compile(b"\1(?:\0{0,%d}\1)*" % LETTER_GAP)
    parents, runs, above = [], [], []
    for y in range(height):
        here = []
        for found in run.finditer(ink[y * width : (y + 1) * width]):
            parents.append(len(parents))
            runs.append((found.start(), found.end() - 1, y))
            here.append(len(runs) - 1)
            for other in above:
                if runs[other][0] <= runs[here[-1]][1] and runs[here[-1]][0] <= runs[other][1]:
                    parents[root(parents, other)] = root(parents, here[-1])
        above = here
    together = {}
    for index, (left, right, y) in enumerate(runs):
        together.setdefault(root(parents, index), []).extend([(left, y), (right, y)])
    return list(together.values())


def root(parents, index):
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index


def hull(points):
    """The convex hull, by Andrew's monotone chain."""
    points = sorted(set(points))
    halves = []
    for ordered in (points, points[::-1]):
        half = []
        for point in ordered:
            while len(half) > 1 and turn(half[-2], half[-1], point) <= 0:
                half.pop()
            half.append(point)
        halves += half[:-1]
    return halves or points


def turn(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def grown(polygon):
    """What is found is a little smaller than the word: grow it until it covers enough."""
    wanted = COVER * area(polygon)
    middle_x = sum(x for x, _ in polygon) / len(polygon)
    middle_y = sum(y for _, y in polygon) / len(polygon)
    # The fault: a ruled line, one pixel high, has no area, and never gets any.
    while not area(polygon) > wanted:
        polygon = [(middle_x + (x - middle_x) * 1.02, middle_y + (y - middle_y) * 1.02) for x, y in polygon]
    return [(round(x, 1), round(y, 1)) for x, y in polygon]


def area(polygon):
    pairs = zip(polygon, polygon[1:] + polygon[:1])
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


def drawn(width, height, pixels, polygons):
    """The page in RGB, under translucent polygons."""
    image = bytearray(3 * len(pixels))
    image[0::3] = image[1::3] = image[2::3] = pixels
    for polygon in polygons:
        top, bottom = min(y for _, y in polygon), max(y for _, y in polygon)
        for y in range(max(0, int(top)), min(height, int(bottom) + 1)):
            crossed = crossings(polygon, y)
            for left, right in zip(crossed[0::2], crossed[1::2]):
                start = y * width + max(0, int(left))
                end = y * width + min(width, int(right) + 1)
                image[3 * start + 1 : 3 * end : 3] = bytes(value // 2 + 100 for value in image[3 * start + 1 : 3 * end : 3])
    return bytes(image)


def crossings(polygon, y):
    """Where the polygon crosses the middle of this row."""
    found = []
    for (x1, y1), (x2, y2) in zip(polygon, polygon[1:] + polygon[:1]):
        if (y1 <= y + 0.5) != (y2 <= y + 0.5):
            found.append(x1 + (y + 0.5 - y1) * (x2 - x1) / (y2 - y1))
    return sorted(found)
