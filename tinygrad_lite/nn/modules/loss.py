"""Losses.

`reduction` is "mean" (the default), "sum" or "none" everywhere; `size_average` and `reduce` are its deprecated forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.distance import PairwiseDistance
from tinygrad_lite.nn.modules.settings import Configured
from tinygrad_lite.ops.nn.losses.elementwise import reduction_of

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss",
    "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss", "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss",
    "TripletMarginLoss", "TripletMarginWithDistanceLoss",
]  # fmt: skip


class _Arguments(Configured):
    """Stores the constructor's arguments, with the deprecated ones converted to `reduction`."""

    def __init__(self, arguments: Mapping[str, Any]):
        kept = dict(arguments)
        size_average, reduce = kept.pop("size_average", None), kept.pop("reduce", None)
        if size_average is not None or reduce is not None:
            kept["reduction"] = reduction_of(type(self).__name__, kept["reduction"], size_average, reduce)
        weights = {name: kept.pop(name) for name in ("weight", "pos_weight") if name in kept}
        super().__init__(kept)
        for name, weight in weights.items():
            self.register_buffer(name, weight)


class _Loss(_Arguments):
    """A loss whose only setting is its reduction."""

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"):
        super().__init__(locals())


class _WeightedLoss(_Arguments):
    """A loss with a weight per class (or element), stored as a buffer."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(locals())


class MSELoss(_Loss):
    """(x - target)^2

    >>> from tinygrad_lite import nn, tensor
    >>> nn.MSELoss()(tensor([1.0, 2.0]), tensor([0.0, 5.0]))  # (1 + 9) / 2
    tensor(5.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """|x - target|

    >>> from tinygrad_lite import nn, tensor
    >>> nn.L1Loss(reduction="none")(tensor([1.0, 2.0]), tensor([0.0, 5.0]))
    tensor([1., 3.])
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Arguments):
    """(x - target)^2 / (2 beta) where |x - target| < beta, |x - target| - beta / 2 beyond (Girshick, 2015).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.SmoothL1Loss(reduction="none", beta=2.0)(tensor([1.0, 5.0]), tensor([0.0, 0.0]))  # 1 / 4, 5 - 1
    tensor([0.2500, 4.0000])
    """

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean", beta: float = 1.0):
        super().__init__(locals())

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Arguments):
    """(x - target)^2 / 2 where |x - target| < delta, delta (|x - target| - delta / 2) beyond (Huber, 1964).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.HuberLoss(reduction="none", delta=2.0)(tensor([1.0, 5.0]), tensor([0.0, 0.0]))  # 1 / 2, 2 (5 - 1)
    tensor([0.5000, 8.0000])
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        if not isinstance(delta, (float, int)):
            raise BadType(function="HuberLoss", argument="delta", expected="a number", got=type(delta).__name__)
        super().__init__(locals())

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class CrossEntropyLoss(_Arguments):
    """-log softmax(x)[target]: logits (N, C, ...) against class indices (N, ...) or probabilities (N, C, ...).

    >>> from tinygrad_lite import nn, tensor
    >>> logits = tensor([[1.0, 3.0]]).log()  # probabilities 1/4 and 3/4
    >>> nn.CrossEntropyLoss()(logits, tensor([0]))  # log 4
    tensor(1.3863)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(locals())

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(input, target, self.weight, None, self.ignore_index, None, self.reduction, self.label_smoothing)


class NLLLoss(_Arguments):
    """-x[target]: log-probabilities (N, C, ...) against class indices (N, ...).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.NLLLoss()(tensor([[-0.5, -2.0], [-4.0, -1.0]]), tensor([0, 0]))  # (0.5 + 4) / 2
    tensor(2.2500)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(locals())

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCELoss(_WeightedLoss):
    """-(target log x + (1 - target) log(1 - x)): probabilities against probabilities.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.BCELoss(reduction="none")(tensor([0.5, 0.75]), tensor([1.0, 0.0]))  # log 2, log 4
    tensor([0.6931, 1.3863])
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Arguments):
    """BCELoss of sigmoid(x), numerically stable for large |x|; `pos_weight` scales the positive term.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.BCEWithLogitsLoss(reduction="none")(tensor([0.0, 100.0]), tensor([1.0, 0.0]))  # log 2, 100
    tensor([  0.6931, 100.0000])
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ):
        super().__init__(locals())

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(input, target, weight=self.weight, pos_weight=self.pos_weight, reduction=self.reduction)


class KLDivLoss(_Arguments):
    """target (log target - x), for log-probabilities x; `log_target`: the target is a log-probability too. For
    distributions (N, C), reduction="batchmean" divides the sum by N only.

    >>> from tinygrad_lite import nn, tensor
    >>> x, target = tensor([[0.25, 0.75]]).log(), tensor([[1.0, 0.0]])
    >>> nn.KLDivLoss(reduction="batchmean")(x, target)  # log 4
    tensor(1.3863)
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ):
        super().__init__(locals())

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(_Arguments):
    """e^x - target x (`log_input`), or x - target log(x + eps): counts against (the logarithm of) their rate;
    `full` adds Stirling's term.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.PoissonNLLLoss(reduction="none")(tensor([0.0, 0.0]), tensor([0.0, 5.0]))  # rate 1
    tensor([1., 1.])
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(locals())

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction)


class GaussianNLLLoss(_Arguments):
    """(log var + (x - target)^2 / var) / 2; `full` adds log(2 pi) / 2.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.GaussianNLLLoss()(tensor([3.0]), tensor([1.0]), var=tensor([1.0]))  # (0 + 4 / 1) / 2
    tensor(2.)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__(locals())

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class HingeEmbeddingLoss(_Arguments):
    """x where the target is 1, max(margin - x, 0) where it is -1.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.HingeEmbeddingLoss(reduction="none")(tensor([0.25, 0.25, 2.0]), tensor([1.0, -1.0, -1.0]))
    tensor([0.2500, 0.7500, 0.0000])
    """

    def __init__(
        self,
        margin: float = 1.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(locals())

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """log(1 + e^(-target x)), targets 1 and -1.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.SoftMarginLoss(reduction="none")(tensor([0.0, 100.0]), tensor([1.0, -1.0]))  # log 2, 100
    tensor([  0.6931, 100.0000])
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """max(1 - (x[i] - x[j]), 0), summed over every class i that is a target and every j that is not, over C;
    scores (N, C) or (C,), targets of the same shape: the classes, then -1.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.MultiLabelMarginLoss()(tensor([0.5, 2.0, 1.0, 0.0]), tensor([1, 2, -1, -1]))  # only 1 - (1 - 0.5), over 4
    tensor(0.1250)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The mean over classes of BCEWithLogitsLoss: scores (N, C) against targets 0 and 1 of the same shape.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.MultiLabelSoftMarginLoss()(tensor([[0.0, 100.0]]), tensor([[1.0, 1.0]]))  # (log 2 + 0) / 2
    tensor(0.3466)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, weight=self.weight, reduction=self.reduction)


class MultiMarginLoss(_Arguments):
    """max(margin - x[target] + x[j], 0)^p, summed over the other classes j, over C: scores (N, C) against class indices
    (N,).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.MultiMarginLoss()(tensor([[0.0, 2.0, 1.5, 3.0]]), tensor([1]))  # (0 + 0.5 + 2) / 4
    tensor(0.6250)
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        if p not in (1, 2):
            raise BadValue(f"only p == 1 and p == 2 supported, got {p}", function="MultiMarginLoss", got=p)
        if weight is not None and weight.ndim != 1:
            raise BadValue(f"weight must be None or have 1 dimension, got shape {tuple(weight.shape)}", function="MultiMarginLoss")
        super().__init__(locals())

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction)


class _MarginLoss(_Arguments):
    """A loss on pairs, with a margin."""

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(locals())


class MarginRankingLoss(_MarginLoss):
    """max(-target (x1 - x2) + margin, 0): target 1 where x1 should rank higher, -1 where x2 should.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.MarginRankingLoss(reduction="none")(tensor([3.0, 3.0]), tensor([1.0, 1.0]), tensor([1.0, -1.0]))
    tensor([0., 2.])
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_MarginLoss):
    """1 - cos(x1, x2) where the target is 1, max(cos(x1, x2) - margin, 0) where it is -1: vectors (N, D), targets (N,).

    >>> from tinygrad_lite import nn, tensor
    >>> x1, x2 = tensor([[1.0, 0.0], [1.0, 0.0]]), tensor([[0.0, 5.0], [2.0, 0.0]])  # at a right angle, in line
    >>> nn.CosineEmbeddingLoss(reduction="none")(x1, x2, tensor([1, -1]))
    tensor([1., 1.])
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(_Arguments):
    """max(|anchor - positive| - |anchor - negative| + margin, 0), in the p-norm of vectors (N, D) or (D,). `swap`: use
    the distance from positive to negative where it is the smaller one.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.TripletMarginLoss()(tensor([[0.0]]), tensor([[2.0]]), tensor([[2.5]]))  # 2 - 2.5 + 1
    tensor(0.5000)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        if margin <= 0:
            raise BadValue(function="TripletMarginLoss", argument="margin", expected="margin to be greater than 0", got=margin)
        super().__init__(locals())

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_loss(
            anchor, positive, negative, margin=self.margin, p=self.p, eps=self.eps, swap=self.swap, reduction=self.reduction
        )


class TripletMarginWithDistanceLoss(_Arguments):
    """TripletMarginLoss with a custom distance function.

    >>> from tinygrad_lite import nn, tensor
    >>> loss = nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).square().sum(-1))
    >>> loss(tensor([[0.0]]), tensor([[2.0]]), tensor([[1.0]]))  # 4 - 1 + 1
    tensor(4.)
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ):
        if margin <= 0:
            raise BadValue(function="TripletMarginWithDistanceLoss", argument="margin", expected="margin to be greater than 0", got=margin)
        super().__init__(locals())
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class CTCLoss(_Arguments):
    """Connectionist temporal classification: log-probabilities (T, N, C) against unaligned label sequences (N, S) or
    (sum of lengths,) (Graves et al., 2006). "mean" also divides by each target's length.

    >>> from tinygrad_lite import nn, tensor
    >>> steps = tensor([[[0.5, 0.5]], [[0.5, 0.5]]]).log()  # of 4 readings, 3 say "1": _1, 1_, 11
    >>> nn.CTCLoss()(steps, tensor([[1]]), [2], [1])  # -log 3/4
    tensor(0.2877)
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False):
        super().__init__(locals())

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any) -> Tensor:
        return F.ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            blank=self.blank,
            reduction=self.reduction,
            zero_infinity=self.zero_infinity,
        )
