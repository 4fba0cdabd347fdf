"""The public module of study/surfaces.py."""

from tinygrad_lite.optim.study.surfaces import (
    GALLERY,
    Race,
    Run,
    Surface,
    beale,
    bounded_saddle,
    egg_box,
    plateau,
    quadratic,
    race,
    rosenbrock,
    saddle,
    valley,
)

__all__ = [
    "GALLERY", "Race", "Run", "Surface", "beale", "bounded_saddle", "egg_box", "plateau", "quadratic", "race", "rosenbrock", "saddle",
    "valley",
]  # fmt: skip
