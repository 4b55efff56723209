"""Tracks boxes through a clip."""
import logging
import random

import hydra
from omegaconf import DictConfig

log = logging.getLogger("track")


class Tracker:
    def __init__(self, max_age: int, min_hits: int, iou_thresh: float) -> None:
        self.max_age, self.min_hits, self.iou_thresh = max_age, min_hits, iou_thresh
        self.tracks: dict[int, list[float]] = {}

    def update(self, boxes: list[float]) -> int:
        for number, box in enumerate(boxes):
            self.tracks.setdefault(number, []).append(box)
        return sum(len(track) >= self.min_hits for track in self.tracks.values())


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    log.info("video %s on %s", cfg.video, cfg.device)
    tracker = Tracker(cfg.tracker.max_age, cfg.tracker.min_hits, cfg.tracker.iou_thresh)
    rng = random.Random(cfg.video)
    for frame in range(30):
        confirmed = tracker.update([rng.random() for _ in range(5)])
        if frame % 10 == 0:
            log.info("frame %d: %d confirmed", frame, confirmed)


if __name__ == "__main__":
    main()
