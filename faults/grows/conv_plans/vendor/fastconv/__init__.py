"""fastconv 0.4: separable filters with planned workspaces."""
from .plan import Planner

_planner = Planner()


def blur(picture, radius=3):
    return _planner.plan(picture.shape, radius).run(picture)
