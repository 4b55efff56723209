import math


def embed(text, width=48):
    vector = [0.0] * width
    for position, character in enumerate(text):
        vector[(ord(character) * 31 + position) % width] += 1.0
    norm = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / norm for value in vector]


def cosine(first, second):
    return sum(a * b for a, b in zip(first, second))


def duplicates(vectors, threshold=0.999):
    found = []
    for i, first in enumerate(vectors):
        for j in range(i + 1, len(vectors)):
            if cosine(first, vectors[j]) > threshold:
                found.append((i, j))
    return found
