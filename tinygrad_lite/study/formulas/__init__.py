"""What each primitive computes and what its rules do, as formulas that can be printed and evaluated."""

from __future__ import annotations

from tinygrad_lite.study.formulas import arrays, elementary, matrices, networks, typeset
from tinygrad_lite.study.formulas.formula import Formula, Kink, lines_of

__all__ = ["FORMULAS", "Formula", "Kink", "lines_of", "typeset"]

FORMULAS: dict[str, Formula] = elementary.TABLE | arrays.TABLE | matrices.TABLE | networks.TABLE
