"""Compares images with embeddings of concepts that must not be shown."""
import logging

import numpy as np

logger = logging.getLogger(__name__)


class SafetyChecker:
    def __init__(self, concepts: int = 17, width: int = 48, threshold: float = 0.05) -> None:
        self.concepts = np.random.default_rng(17).random((concepts, width))
        self.threshold = threshold
        self.width = width

    def embed(self, image: np.ndarray) -> np.ndarray:
        return image.reshape(-1)[: self.width]

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, list[bool]]:
        flagged = []
        for index, image in enumerate(images):
            vector = self.embed(image)
            cosine = self.concepts @ vector / (
                np.linalg.norm(self.concepts, axis=1) * np.linalg.norm(vector) + 1e-9
            )
            flagged.append(bool((cosine > self.threshold).any()))
            if flagged[-1]:
                images[index] = 0
        if any(flagged):
            logger.warning(
                "Potential NSFW content was detected in one or more images. A black image will be returned "
                "instead. Try again with a different prompt and/or seed."
            )
        return images, flagged
