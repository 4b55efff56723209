def next_free(slots):
    position = 0
    while slots[position % len(slots)]:
        position += 1
    return position


print("scanning", flush=True)
next_free([True] * 64)
