"""Reductions, scans, and what only moves elements."""

from __future__ import annotations

from math import inf, nan

from tinygrad_lite.study.formulas.formula import Formula, Kink

_TIES = Kink(([1.0, 3.0, 3.0], None, False), {"input": [0.0, 0.5, 0.5]}, "ties share the gradient evenly")
_LEAST = Kink(([1.0, 1.0, 3.0], None, False), {"input": [0.5, 0.5, 0.0]}, "ties share the gradient evenly")
_FORMAL = "v is `out`, here with a place on the tape that depends on"
_SCAN = "Along `axis`; with `reverse`, from its end."
_SCATTERED = "Of those that attain an extreme in one place, each gets an equal share. The formula is for \"amax\"."

TABLE = {
    # -- reductions ------------------------------------------------------------------------------
    "sum": Formula("sum(input, axis=axes)"),
    "mean": Formula("sum(input, axis=axes) / n"),
    "prod": Formula("prod(input, axis=axis)", {"input": "input[j] = g * prod(input[i] for i in range(n) if i != j)"}),
    "amax": Formula("max(input, axis=axes)", {"input": "g * (input == out) / sum(input == out, axis=axes)"}, kinks=(_TIES,)),
    "amin": Formula("min(input, axis=axes)", {"input": "g * (input == out) / sum(input == out, axis=axes)"}, kinks=(_LEAST,)),
    "logsumexp": Formula(
        "log(sum(exp(input), axis=axes))",
        kinks=(Kink(([-inf, -inf], None, False), {"input": [nan, nan]}, "the result is $`-\\infty`$, whatever the shares"),),
    ),
    "var": Formula(
        "sum((input - mean(input, axis=axes))**2, axis=axes) / (n - correction)",
        {"input": "2 * g * (input - mean(input, axis=axes)) / (n - correction)"},
        symbols={"correction": "c"},
        kinks=(Kink(([1.0], None, 1, False), {"input": [nan]}, "no degrees of freedom: the result is nan"),),
    ),
    "vector_norm": Formula(
        "sum(abs(x)**ord, axis=dims)**(1 / ord)",
        {"x": "g * sign(x) * (abs(x) / out)**(ord - 1)"},
        symbols={"ord": "p"},
        note="For p = 0 the number of elements other than 0, for inf and -inf the largest and smallest $`\\lvert x \\rvert`$.",
        kinks=(
            Kink(([0.0, 0.0], 2.0, (0,), False), {"x": [0.0, 0.0]}, "the tip of a cone"),
            Kink(([0.0, 2.0], 1.0, (0,), False), {"x": [0.0, 1.0]}, "the slopes are -1 and 1 on the two sides of 0"),
            Kink(([0.0, 4.0], 0.5, (0,), False), {"x": [0.0, 1.0]}, "vertical for p < 1"),
            Kink(([2.0, -2.0], inf, (0,), False), {"x": [0.5, -0.5]}, "ties for the largest share the gradient"),
            Kink(([1.0, 2.0], 0.0, (0,), False), {"x": [0.0, 0.0]}, "a count: flat, with jumps"),
        ),
    ),
    "bincount": Formula("out[k] = sum(weights[i] for i in range(N) if input[i] == k)", symbols={"weights": "w"}),
    "distinct": Formula("unique(input)", note="The values, where each element is among them, and the counts; none has a gradient."),
    # -- scans -----------------------------------------------------------------------------------
    "cumsum": Formula("out[i] = sum(input[j] for j in range(i + 1))", {"input": "input[j] = sum(g[i] for i in range(j, n))"}, note=_SCAN),
    "cumprod": Formula(
        "out[i] = prod(input[j] for j in range(i + 1))",
        {"input": "input[j] = sum(g[i] * prod(input[k] for k in range(i + 1) if k != j) for i in range(j, n))"},
        note=_SCAN,
    ),
    "logcumsumexp": Formula(
        "out[i] = log(sum(exp(input[j]) for j in range(i + 1)))",
        {"input": "input[j] = sum(g[i] * exp(input[j] - out[i]) for i in range(j, n))"},
        kinks=(Kink(([-inf, 0.0], 0), {"input": [nan, 1.0]}, "a result of $`-\\infty`$, whatever the shares"),),
    ),
    "recurrence": Formula(
        "out[t] = a[t] * out[t - 1] + b[t]",
        {"a": "a[t] = delta[t] * out[t - 1]", "b": "b[t] = delta[t]"},
        shared="""
        delta[n] = 0
        delta[t] = g[t] + a[t + 1] * delta[t + 1]
        """,
        note=_SCAN,
    ),
    # -- shape and order -------------------------------------------------------------------------
    "reshape": Formula("reshape(input, shape)"),
    "permute": Formula("permute(input, dims)", {"input": "permute(g, argsort(dims))"}),
    "expand": Formula("expand(input, shape)", note="The engine sums what comes back over the repeated dims, as for every broadcast."),
    "copy": Formula("input", note="In another dtype or order in memory. A gradient is cast back by the engine."),
    "moved": Formula("input", {"input": "g"}, note="On another device; the gradient goes back to the input's."),
    "linear_in": Formula("out", symbols={"out": "v"}, note=f"{_FORMAL} `input`, which gets no gradient."),
    "jointly": Formula("out", symbols={"out": "v"}, note=f"{_FORMAL} `input` and `weight`, which get no gradient."),
    # -- indexing --------------------------------------------------------------------------------
    "getitem": Formula("input[index]", {"input": "into_zeros(g, input_shape, index)"}, symbols={"index": "i"}),
    "into_zeros": Formula("into_zeros(input, shape, index)", {"input": "g[index]"}, symbols={"index": "i"}),
    "replaced": Formula("replaced(input, value, index)", {"value": "g[index]"}, symbols={"index": "i", "value": "v"}),
    "rows": Formula(
        "out[i] = weight[index[i]]",
        {"weight": "weight[k] = sum(g[i] for i in range(N) if index[i] == k)"},
        symbols={"index": "s"},
        note="`factor`, if given, scales the rows of g.",
    ),
    "scatter_reduce": Formula(
        "out[i] = max(input[i], max(src[k] for k in range(N) if index[k] == i))",
        {
            "input": "input[i] = g[i] * (input[i] == out[i]) / count[i]",
            "src": "src[k] = g[index[k]] * (src[k] == out[index[k]]) / count[index[k]]",
        },
        shared="count[i] = (input[i] == out[i]) + sum(src[k] == out[i] for k in range(N) if index[k] == i)",
        symbols={"src": "v", "index": "s", "count": "c"},
        note=_SCATTERED,
        kinks=(Kink(([3.0, 0.0], [3.0], ((0,),), "amax"), {"input": [0.5, 1.0], "src": [0.5]}, "ties share the gradient evenly"),),
    ),
    # -- joining ---------------------------------------------------------------------------------
    "cat": Formula(
        "cat(tensors, dim)", {"tensors": "split(g, sizes, dim)"}, symbols={"tensors": "x"}, note="Each tensor gets its part of g."
    ),
    "stack": Formula("stack(tensors, dim)", {"tensors": "unstack(g, dim)"}, symbols={"tensors": "x"}),
    "split": Formula("split(input, sizes, dim) if sizes else unstack(input, dim)", {"input": "cat(g, dim) if sizes else stack(g, dim)"}),
    # -- windows ---------------------------------------------------------------------------------
    "windows_of": Formula(
        "out[b, c, k, i] = input[b, c, s * i + d * k - p]",
        {"input": "input[b, c, m] = sum(g[b, c, k, i] for k in range(K) for i in range(I) if s * i + d * k - p == m)"},
    ),
    "sum_of_windows": Formula(
        "out[b, c, m] = sum(y[b, c, k, i] for k in range(K) for i in range(I) if s * i + d * k - p == m)",
        {"y": "y[b, c, k, i] = g[b, c, s * i + d * k - p]"},
        symbols={"y": "u"},
    ),
    "window_sums": Formula(
        "out[b, c, i] = sum(input[b, c, s * i + d * k - p] for k in range(K))",
        {"input": "input[b, c, m] = sum(g[b, c, i] for k in range(K) for i in range(I) if s * i + d * k - p == m)"},
    ),
    "spread": Formula(
        "out[b, c, m] = sum(y[b, c, i] for k in range(K) for i in range(I) if s * i + d * k - p == m)",
        {"y": "y[b, c, i] = sum(g[b, c, s * i + d * k - p] for k in range(K))"},
        symbols={"y": "u"},
    ),
    "weighted_sums": Formula("matrix @ input", {"input": "matrix.mT @ g"}, symbols={"matrix": "A"}, note="Along `dim`."),
    "max_pool": Formula(
        """
        places[b, c, i] = s * i - p + d * argmax(input[b, c, s * i + d * k - p] for k in range(K))
        out[b, c, i] = input[b, c, places[b, c, i]]
        """,
        {"input": "input[b, c, m] = sum(g[b, c, i] for i in range(I) if places[b, c, i] == m)"},
        symbols={"places": r"\pi"},
        kinks=(Kink(([[[2.0, 2.0]]], "windows of 2"), {"input": [[[1.0, 0.0]]]}, "of ties the first gets the gradient"),),
    ),
    "unpool": Formula(
        "out[b, c, m] = sum(y[b, c, i] for i in range(I) if places[b, c, i] == m)",
        {"y": "y[b, c, i] = g[b, c, places[b, c, i]]"},
        symbols={"y": "u", "places": r"\pi"},
    ),
}  # fmt: skip
