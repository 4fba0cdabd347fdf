"""Layers and losses."""

from __future__ import annotations

from math import inf

from tinygrad_lite.study.formulas.formula import Formula, Kink

_NORMAL = {"normal": r"\hat{x}", "rate": "r", "weight": r"\gamma", "bias": r"\beta", "normal_bar": r"\bar{\hat{x}}"}
_NORMALIZED = """
mu = mean(input)
rate = 1 / sqrt(mean((input - mu)**2) + eps)
normal = rate * (input - mu)
weight * normal + bias
"""
_THROUGH = "rate * (normal_bar - mean(normal_bar) - normal * mean(normal * normal_bar))"
_PLACE = "s * i + d * k - p"  # of tap k of window i
_ALL = f"for o in range(O) for i in range(I) for k in range(K) if {_PLACE} == m"
_SEQUENCE = {
    "w_ih": "sum(outer(delta[t], input[t]) for t in range(T))",
    "w_hh": "sum(outer(delta[t], a[t - 1]) for t in range(T))",
    "b_ih": "sum(delta[t] for t in range(T))",
    "b_hh": "sum(delta[t] for t in range(T))",
    "input": "input[t] = w_ih.mT @ delta[t]",
    "h": "w_hh.mT @ delta[0]",
}
_WEIGHTS = {"w_ih": "W", "w_hh": "U", "b_ih": "b", "b_hh": "b'", "a": "y", "a_bar": r"\bar{y}", "h": "h", "delta": r"\delta"}
_STATES = (
    "W is `w_ih`, U `w_hh`, b `b_ih` and b' `b_hh`; h is the first state. The gradient of the last state adds to that of the last "
    "output."
)
_CELL = "{0}_cell_vjp stands for the rules of `{0}_cell` at step t."

TABLE = {
    "linear": Formula(
        "input @ weight.mT + bias",
        {"input": "g @ weight", "weight": "g.mT @ input", "bias": "bias[j] = sum(g[i, j] for i in range(N))"},
        symbols={"input": "X", "out": "Y", "result": "Y", "g": r"\bar{Y}"},
        note="For a matrix X of samples; the engine sums the gradient of the bias over them.",
    ),
    "attention": Formula(
        """
        S = scale * (query @ key.mT) + mask
        weights = softmax(S)
        weights @ value
        """,
        {
            "query": "scale * (S_bar @ key)",
            "key": "scale * (S_bar.mT @ query)",
            "value": "weights.mT @ g",
            "mask": "S_bar",
        },
        shared="""
        weights_bar = g @ value.mT
        S_bar = weights * (weights_bar - rowsums(weights * weights_bar))
        """,
        symbols={"weights": "P", "weights_bar": r"\bar{P}", "mask": "M", "scale": "s", "out": "Y", "result": "Y", "g": r"\bar{Y}"},
        note="softmax and rowsums go along each row; \"weights\" are kept as P.",
        kinks=(
            Kink(
                ([[1.0]], [[1.0]], [[1.0]], [[-inf]], False, 1.0),
                {"query": [[0.0]], "key": [[0.0]], "value": [[0.0]]},
                "a query with nothing to attend to: the result is 0",
            ),
        ),
    ),
    "convolution": Formula(
        f"out[b, o, i] = bias[o] + sum(weight[o, c, k] * input[b, c, {_PLACE}] for c in range(C) for k in range(K))",
        {
            "input": f"input[b, c, m] = sum(g[b, o, i] * weight[o, c, k] {_ALL})",
            "weight": f"weight[o, c, k] = sum(g[b, o, i] * input[b, c, {_PLACE}] for b in range(B) for i in range(I))",
            "bias": "bias[o] = sum(g[b, o, i] for b in range(B) for i in range(I))",
        },
        symbols={"bias": r"\beta"},
        note="In one dimension, with stride s, dilation d, p zeros before the first element, and one group. $`\\beta`$ is `bias`.",
    ),
    "convolution_input": Formula(
        f"out[b, c, m] = sum(y[b, o, i] * weight[o, c, k] {_ALL})",
        {
            "y": f"y[b, o, i] = sum(g[b, c, {_PLACE}] * weight[o, c, k] for c in range(C) for k in range(K))",
            "weight": f"weight[o, c, k] = sum(y[b, o, i] * g[b, c, {_PLACE}] for b in range(B) for i in range(I))",
        },
        symbols={"y": "u"},
    ),
    "convolution_weight": Formula(
        f"out[o, c, k] = sum(y[b, o, i] * input[b, c, {_PLACE}] for b in range(B) for i in range(I))",
        {
            "y": f"y[b, o, i] = sum(g[o, c, k] * input[b, c, {_PLACE}] for c in range(C) for k in range(K))",
            "input": f"input[b, c, m] = sum(g[o, c, k] * y[b, o, i] {_ALL})",
        },
        symbols={"y": "u"},
    ),
    "softmax": Formula("exp(input) / sum(exp(input), axis=dim)", {"input": "out * (g - sum(g * out, axis=dim))"}),
    "log_softmax": Formula("input - log(sum(exp(input), axis=dim))", {"input": "g - exp(out) * sum(g, axis=dim)"}),
    "normalize": Formula(
        _NORMALIZED,
        {"input": _THROUGH, "weight": "g * normal", "bias": "g"},
        shared="normal_bar = weight * g",
        symbols=_NORMAL,
        note="For each sample and group; $`\\gamma`$ is `weight`, $`\\beta`$ `bias`. Without `center`, $`\\mu = 0`$.",
    ),
    "batch_norm": Formula(
        _NORMALIZED,
        {"input": _THROUGH, "weight": "sum(g * normal)", "bias": "sum(g)"},
        shared="normal_bar = weight * g",
        symbols=_NORMAL,
        note="For each channel, over its samples and places; with `running`, $`\\mu`$ and r are constants.",
    ),
    "mse": Formula("sum((input - target)**2) / n", {"input": "2 / n * g * (input - target)", "target": "2 / n * g * (target - input)"}),
    "bce": Formula(
        "-target * log(input) - (1 - target) * log(1 - input)",
        {"target": "g * (log(1 - input) - log(input))"},
        kinks=(
            Kink((0.0, 1.0), {"input": -1e12}, "the ends of the domain: the denominator is at least $`10^{-12}`$"),
            Kink((0.0, 0.0), {"input": 0.0}, ""),
        ),
        note="Logarithms below -100 count as -100.",
    ),
    "bce_with_logits": Formula("log(1 + exp(input)) - target * input"),
    "cross_entropy": Formula(
        "sum(log(sum(exp(input[i, j]) for j in range(C))) - input[i, target[i]] for i in range(N)) / N",
        {"input": "input[i, j] = g / N * (exp(input[i, j]) / sum(exp(input[i, k]) for k in range(C)) - (j == target[i]))"},
        note="For reduction \"mean\" and no class weights; the exponentials and their sums are kept.",
    ),
    "lstm_cell": Formula(
        """
        i = sigmoid(z[0])
        f = sigmoid(z[1])
        q = tanh(z[2])
        o = sigmoid(z[3])
        k = f * c + i * q
        h = o * tanh(k)
        (h, k)
        """,
        {
            "z": """
        z[0] = delta * q * i * (1 - i)
        z[1] = delta * c * f * (1 - f)
        z[2] = delta * i * (1 - q**2)
        z[3] = h_bar * tanh(k) * o * (1 - o)
        """,
            "c": "delta * f",
        },
        shared="delta = k_bar + h_bar * o * (1 - tanh(k)**2)",
        symbols={"k": "c'", "k_bar": r"\bar{c'}"},
        note="z is four parts: for the gates, the candidate and the output gate.",
    ),
    "gru_cell": Formula(
        """
        r = sigmoid(z[0] + v[0])
        u = sigmoid(z[1] + v[1])
        q = tanh(z[2] + r * v[2])
        q + u * (h - q)
        """,
        {
            "z": """
        z[0] = delta * v[2] * r * (1 - r)
        z[1] = g * (h - q) * u * (1 - u)
        z[2] = delta
        """,
            "v": """
        v[0] = delta * v[2] * r * (1 - r)
        v[1] = g * (h - q) * u * (1 - u)
        v[2] = delta * r
        """,
            "h": "g * u",
        },
        shared="delta = g * (1 - u) * (1 - q**2)",
        note="z and v are three parts: for the reset gate, the update gate and the candidate.",
    ),
    "rnn": Formula(
        """
        a[-1] = h
        a[t] = tanh(w_ih @ input[t] + b_ih + w_hh @ a[t - 1] + b_hh)
        """,
        _SEQUENCE,
        shared="""
        delta[T] = 0
        delta[t] = (a_bar[t] + w_hh.mT @ delta[t + 1]) * (1 - a[t]**2)
        """,
        symbols=_WEIGHTS,
        note=f"For one sequence of length T and tanh. {_STATES}",
    ),
    "gru": Formula(
        """
        a[-1] = h
        a[t] = gru_cell(w_ih @ input[t] + b_ih, w_hh @ a[t - 1] + b_hh, a[t - 1])
        """,
        {
            "w_ih": _SEQUENCE["w_ih"],
            "b_ih": _SEQUENCE["b_ih"],
            "w_hh": "sum(outer(kappa[t], a[t - 1]) for t in range(T))",
            "b_hh": "sum(kappa[t] for t in range(T))",
            "input": _SEQUENCE["input"],
            "h": "rho[0] + w_hh.mT @ kappa[0]",
        },
        shared="""
        rho[T] = 0
        kappa[T] = 0
        e[t] = a_bar[t] + rho[t + 1] + w_hh.mT @ kappa[t + 1]
        delta[t] = gru_cell_vjp(e[t], t)[0]
        kappa[t] = gru_cell_vjp(e[t], t)[1]
        rho[t] = gru_cell_vjp(e[t], t)[2]
        """,
        symbols=_WEIGHTS,
        note=f"For one sequence of length T. {_STATES} {_CELL.format('gru')}",
    ),
    "lstm": Formula(
        """
        a[-1] = h
        s[-1] = c
        z[t] = w_ih @ input[t] + b_ih + w_hh @ a[t - 1] + b_hh
        s[t] = lstm_cell(z[t], s[t - 1])[1]
        q[t] = lstm_cell(z[t], s[t - 1])[0]
        a[t] = w_hr @ q[t]
        """,
        _SEQUENCE | {"c": "sigma[0]", "w_hr": "sum(outer(e[t], q[t]) for t in range(T))"},
        shared="""
        delta[T] = 0
        sigma[T] = 0
        e[t] = a_bar[t] + w_hh.mT @ delta[t + 1]
        delta[t] = lstm_cell_vjp(w_hr.mT @ e[t], sigma[t + 1], t)[0]
        sigma[t] = lstm_cell_vjp(w_hr.mT @ e[t], sigma[t + 1], t)[1]
        """,
        symbols=_WEIGHTS | {"w_hr": "R"},
        note=f"For one sequence of length T. R is `w_hr`, the identity if that is None. {_STATES} {_CELL.format('lstm')}",
    ),
}  # fmt: skip
