"""Samples for einsum and tensordot."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(5)
SIZES = {"a": 2, "b": 3, "c": 4, "d": 2, "z": 0}


def normal(letters):
    return draw.standard_normal([SIZES[c] for c in letters])


def by_numpy(x, y, spec):
    return np.einsum(f"{spec[0]},{spec[1]}->{spec[2]}", x, y)


for x, y, out in [
    ("ab", "bc", "ac"), ("ab", "bc", "ca"), ("ab", "ab", "ab"), ("ab", "ab", ""), ("a", "b", "ba"), ("", "ab", "ba"),
    ("abc", "acd", "abd"), ("abc", "dca", "dab"), ("abcd", "cdb", "ba"), ("ab", "ab", "b"), ("az", "zb", "ab"),
    ("zb", "ba", "za"),
]:  # fmt: skip
    sample("contract", normal(x), normal(y), (x, y, out), reference=by_numpy)
