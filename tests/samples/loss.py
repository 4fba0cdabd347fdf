"""Samples for losses."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(13)
x, y = draw.standard_normal((5, 4)), draw.standard_normal((5, 4))
classes = np.array([0, 3, 1, 2, 3])
weight = draw.uniform(0.5, 2, 4)


def cross_entropy(x, target, weight, ignore_index, reduction):
    logs = np.log(np.exp(x) / np.exp(x).sum(1, keepdims=True))
    weight = np.ones(x.shape[1]) if weight is None else weight
    w = np.where(target == ignore_index, 0, weight[target])
    loss = -logs[np.arange(len(x)), target] * w
    return loss if reduction == "none" else loss.sum() if reduction == "sum" else loss.sum() / w.sum()


sample("mse", x, y, reference=lambda x, y: ((x - y) ** 2).mean())
sample("mse", x, y[:, :1], reference=lambda x, y: ((x - y) ** 2).mean())
sample("mse", np.array(1.5), np.array(0.5), reference=lambda x, y: ((x - y) ** 2).mean())
for reduction in ("none", "sum", "mean"):
    sample("cross_entropy", x, classes, None, -100, reduction, reference=cross_entropy)
    sample("cross_entropy", x, classes, weight, 3, reduction, reference=cross_entropy)


def bce(x, target):
    return -(target * np.log(x) + (1 - target) * np.log(1 - x))


share = draw.uniform(0, 1, (5, 4))
sample("bce", draw.uniform(0.1, 0.9, (5, 4)), share, reference=bce)
sample("bce_with_logits", x, share, reference=lambda x, target: bce(1 / (1 + np.exp(-x)), target))
