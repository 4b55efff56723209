"""Renders with different adapters; checks that the plain model stays what it was."""
import logging

import numpy as np

from model import WIDTH, Model, adapter

log = logging.getLogger("studio")
ADAPTERS = {
    "ink": adapter(5, [WIDTH] * 4),
    "sketch-xl": adapter(6, [WIDTH, WIDTH, WIDTH * 2, WIDTH * 2]),
}


class Studio:
    def __init__(self) -> None:
        self.model = Model()
        self.reference = self.model("a plain grey wall")

    def render(self, prompt: str, style: str | None) -> np.ndarray:
        if style is not None:
            try:
                self.model.load_adapter(style, ADAPTERS[style])
            except ValueError as error:
                log.warning("adapter %s not loaded, rendering without: %s", style, error)
        try:
            return self.model(prompt)
        finally:
            if self.model.adapter is not None:
                self.model.unload_adapter(ADAPTERS[self.model.adapter])

    def self_test(self) -> None:
        np.testing.assert_allclose(
            self.model("a plain grey wall"),
            self.reference,
            rtol=1e-6,
            err_msg=f"output of the plain model for the same input changed (adapter {self.model.adapter})",
        )


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    studio = Studio()
    for prompt, style in [("a house", None), ("a ship", "ink"), ("a bridge", "sketch-xl"), ("a tree", None)]:
        picture = studio.render(prompt, style)
        log.info("%s (%s): %.4f", prompt, style, picture.mean())
        studio.self_test()


if __name__ == "__main__":
    main()
