"""Points on and in a sphere, and how far lead fields are apart."""

import numpy as np

rng = np.random.default_rng(0)
RADIUS = 90.0


def on_sphere(number, radius=RADIUS):
    points = rng.normal(size=(number, 3))
    return radius * points / np.linalg.norm(points, axis=1, keepdims=True)


def sources_of(number=5, depth=60.0):
    return on_sphere(number, depth) * rng.uniform(0.3, 1, size=(number, 1))


def relative_differences(ours, theirs):
    """Of each source, over the sensors."""
    return np.linalg.norm(ours - theirs, axis=(0, 2)) / np.linalg.norm(theirs, axis=(0, 2))
