"""The same detector as a predictor, for `defib serve` or any host of `python -m defib.worker`."""

import pathlib

from detector import detect


class Detector:
    def setup(self):
        """Nothing to load here. A real one reads its weights once."""

    def predict(self, page: pathlib.Path) -> dict:
        found = detect(page)
        return {"words": len(found["polygons"]), "polygons": found["polygons"], "overlay": found["overlay"]}
