"""Embeds the documents of one shard."""
import array
import time

DOCUMENTS = [120, 150, 2600]
WIDTH = 4096


def vector(document: int) -> array.array:
    return array.array("d", [document / 7.0]) * WIDTH


def embed(number: int, results) -> None:
    index = {}
    for document in range(DOCUMENTS[number]):
        index[document] = vector(document)
        if document % 50 == 0:
            print(f"shard {number}: {document}/{DOCUMENTS[number]}", flush=True)
            time.sleep(0.05)
    results.put((number, len(index)))
