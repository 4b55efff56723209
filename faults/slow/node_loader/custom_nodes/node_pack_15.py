"""Node pack 15: colour tables for its pictures."""
import colorsys
import math

SIZE = 125
LOOKUP = {
    (r, g, b): colorsys.rgb_to_hls(r / SIZE, g / SIZE, math.sqrt(b / SIZE))
    for r in range(SIZE)
    for g in range(SIZE)
    for b in range(SIZE)
    if (r + g + b) % 5 == 0
}
NODE_CLASS_MAPPINGS = {"Tint15": lambda pixel: LOOKUP.get(pixel, (0.0, 0.0, 0.0))}
LOOKUP_SIZE = len(LOOKUP)
del LOOKUP
