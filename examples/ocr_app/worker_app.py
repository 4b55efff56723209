"""The same app, with the detector in a process that ends at its time.

    python3 worker_app.py page-*.pgm

Results go to disk; the session only has their paths.
"""

import json
import os
import tempfile

import app
import defib
from detector import detect

session = {"results": []}


@defib.isolated(timeout=2)
def recognise_page(path, folder):
    result = detect(path)
    stem = os.path.join(folder, os.path.basename(path))
    with open(stem + ".rgb", "wb") as file:
        file.write(result["overlay"])
    with open(stem + ".json", "w") as file:
        json.dump(result["polygons"], file)
    return stem, len(result["polygons"])


def recognise(path):
    try:
        stem, count = recognise_page(path, session["folder"])
    except defib.Timeout:
        return None
    session["results"].append(stem)
    return count


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as session["folder"]:
        app.run(recognise)
