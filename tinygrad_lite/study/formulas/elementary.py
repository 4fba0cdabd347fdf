"""Functions of single elements."""

from __future__ import annotations

from math import inf, nan

from tinygrad_lite.study.formulas.formula import Formula, Kink

_BELL = "2 / sqrt(pi) * integral(lambda tau: exp(-tau**2), {}, {})"
_GAMMA = "1 / gamma(input) * integral(lambda tau: tau**(input - 1) * exp(-tau), {}, {})"
_DENSITY = "other**(input - 1) * exp(-other) / gamma(input)"
_STEP = Kink((2.0,), {"input": 0.0}, "jumps at the integers; flat between them")

_SLOPES = {
    "j0": "-J1(input)", "j1": "J0(input) - out / input", "y0": "-Y1(input)", "y1": "Y0(input) - out / input",
    "i0": "I1(input)", "i1": "I0(input) - out / input", "i0e": "I1e(input) - sign(input) * out",
    "i1e": "I0e(input) - out / input - sign(input) * out", "k0": "-K1(input)", "k1": "-K0(input) - out / input",
    "k0e": "out - K1e(input)", "k1e": "out - K0e(input) - out / input", "ai": "Aip(input)",
}  # fmt: skip
_SLOPE = " else ".join(f"g * ({slope}) if kind == {kind!r}" for kind, slope in _SLOPES.items()) + " else g * input * Ai(input)"

TABLE = {
    # -- arithmetic ------------------------------------------------------------------------------
    "add": Formula("input + other"),
    "sub": Formula("input - other"),
    "mul": Formula("input * other"),
    "div": Formula("input / other"),
    "neg": Formula("-input"),
    "pow": Formula(
        "input**exponent",
        {"input": "g * exponent * input**(exponent - 1)", "exponent": "0 if input == 0 and exponent >= 0 else g * out * log(input)"},
        symbols={"exponent": "p"},
        kinks=(
            Kink((0.0, 0.5), {"input": inf}, "vertical at 0 for 0 < p < 1"),
            Kink((0.0, 0), {"input": 0.0}, "constant for p = 0"),
            Kink(([0.0], [2.0]), {"exponent": [0.0]}, "the limit of $`x^p \\log x`$ at 0"),
        ),
    ),
    "div_rounded": Formula(
        "floor(input / other) if rounding_mode == 'floor' else trunc(input / other)",
        kinks=(Kink((4.0, 2.0, "floor"), {"input": 0.0, "other": 0.0}, "jumps where the quotient is an integer; flat between them"),),
    ),
    "remainder": Formula(
        "input - other * floor(input / other) if rounding_mode == 'floor' else input - other * trunc(input / other)",
        {"other": "-g * floor(input / other) if rounding_mode == 'floor' else -g * trunc(input / other)"},
        kinks=(Kink((4.0, 2.0, "floor"), {"input": 1.0, "other": -2.0}, "jumps where the quotient is an integer; the slope beside it"),),
    ),
    # -- powers, exponentials, logarithms --------------------------------------------------------
    "exp": Formula("exp(input)"),
    "log": Formula("log(input)", kinks=(Kink((0.0,), {"input": inf}, "the end of the domain; $`-\\infty`$ there"),)),
    "sqrt": Formula("sqrt(input)", kinks=(Kink((0.0,), {"input": inf}, "vertical at 0"),)),
    "root": Formula(
        "sqrt(input)",
        {"input": "0 if out == 0 else g / (2 * out)"},
        kinks=(Kink((0.0,), {"input": 0.0}, "vertical at 0; 0 is what a standard deviation or a distance needs there"),),
    ),
    "expm1": Formula("exp(input) - 1"),
    "log1p": Formula("log(1 + input)", kinks=(Kink((-1.0,), {"input": inf}, "the end of the domain"),)),
    "log2": Formula("log(input) / log(2)", kinks=(Kink((0.0,), {"input": inf}, "the end of the domain"),)),
    "log10": Formula("log(input) / log(10)", kinks=(Kink((0.0,), {"input": inf}, "the end of the domain"),)),
    "logaddexp": Formula(
        "log(base**input + base**other) / log(base)",
        kinks=(Kink((-inf, -inf, 2), {"input": nan, "other": nan}, "the result is $`-\\infty`$, whatever the shares"),),
    ),
    "xlogy": Formula(
        "0 if input == 0 else input * log(other)",
        {"input": "0 if input == 0 and other <= 0 else g * log(other)"},
        kinks=(Kink((0.0, 0.0), {"input": 0.0, "other": nan}, "a corner of the domain"),),
    ),
    "xlog1py": Formula(
        "0 if input == 0 else input * log(1 + other)",
        {"input": "0 if input == 0 and other <= -1 else g * log(1 + other)"},
        kinks=(Kink((0.0, -1.0), {"input": 0.0, "other": nan}, "a corner of the domain"),),
    ),
    "entr": Formula("-input * log(input)", kinks=(Kink((0.0,), {"input": inf}, "vertical at 0, where the value is 0"),)),
    # -- trigonometric and hyperbolic functions --------------------------------------------------
    "sin": Formula("sin(input)"),
    "cos": Formula("cos(input)"),
    "tan": Formula("tan(input)"),
    "asin": Formula("arcsin(input)", kinks=(Kink((1.0,), {"input": inf}, "vertical at $`\\pm 1`$"),)),
    "acos": Formula("arccos(input)", kinks=(Kink((1.0,), {"input": -inf}, "vertical at $`\\pm 1`$"),)),
    "atan": Formula("arctan(input)"),
    "atan2": Formula(
        "arctan2(input, other)",
        {"input": "g * other / (input**2 + other**2)", "other": "-g * input / (input**2 + other**2)"},
        kinks=(
            Kink((0.0, 0.0), {"input": 0.0, "other": 0.0}, "the origin has no angle"),
            Kink((0.0, -1.0), {"input": -1.0, "other": 0.0}, "jumps by $`2 \\pi`$ at the negative half-axis; the slope beside it"),
        ),
    ),
    "hypot": Formula(
        "sqrt(input**2 + other**2)", kinks=(Kink((0.0, 0.0), {"input": nan, "other": nan}, "the tip of a cone"),)
    ),
    "sinh": Formula("(exp(input) - exp(-input)) / 2"),
    "cosh": Formula("(exp(input) + exp(-input)) / 2"),
    "tanh": Formula("(exp(input) - exp(-input)) / (exp(input) + exp(-input))"),
    "asinh": Formula("log(input + sqrt(input**2 + 1))"),
    "acosh": Formula("log(input + sqrt(input**2 - 1))", kinks=(Kink((1.0,), {"input": inf}, "vertical at 1"),)),
    "atanh": Formula("1 / 2 * log((1 + input) / (1 - input))", kinks=(Kink((1.0,), {"input": inf}, "the end of the domain"),)),
    "sigmoid": Formula("1 / (1 + exp(-input))"),
    "logit": Formula(
        "log(input / (1 - input))",
        {"input": "g / (input * (1 - input))"},
        kinks=(
            Kink((0.0,), {"input": inf}, "the end of the domain"),
            Kink((1.0,), {"input": inf}, "the end of the domain"),
            Kink((2.0,), {"input": nan}, "beyond the domain"),
        ),
    ),
    # -- special functions -----------------------------------------------------------------------
    "erf": Formula(_BELL.format("0", "input"), {"input": "2 / sqrt(pi) * g * exp(-input**2)"}),
    "erfc": Formula(_BELL.format("input", "inf"), {"input": "-2 / sqrt(pi) * g * exp(-input**2)"}),
    "erfcx": Formula("exp(input**2) * erfc(input)"),
    "erfinv": Formula("erfinv(input)", kinks=(Kink((1.0,), {"input": inf}, "the end of the domain"),)),
    "ndtri": Formula("ndtri(input)", kinks=(Kink((0.0,), {"input": inf}, "the end of the domain"),)),
    "lgamma": Formula("log(abs(gamma(input)))", kinks=(Kink((0.0,), {"input": -inf}, "a pole, as at every negative integer"),)),
    "polygamma": Formula("polygamma(input, n)", note="The derivatives of $`\\log \\Gamma`$; $`\\psi^{(0)}`$ is the digamma function."),
    "igamma": Formula(
        f"{_GAMMA.format('other', 'inf')} if upper else {_GAMMA.format('0', 'other')}",
        {"other": f"-g * {_DENSITY} if upper else g * {_DENSITY}"},
        kinks=(Kink((0.5, 0.0, False), {"other": inf}, "vertical at 0 for $`x < 1`$"),),
    ),
    "zeta": Formula("zeta(input, other)"),
    "bessel": Formula(
        "bessel(kind, input)",
        {"input": _SLOPE},
        note="Here `kind` \"i0e\" stands for $`e^{-\\lvert x \\rvert} I_0(x)`$ and \"k0e\" for $`e^x K_0(x)`$; Ai solves $`y'' = x y`$.",
        kinks=(
            Kink((0.0, "j1"), {"input": 0.5}, "the limit of $`J_1(x) / x`$"),
            Kink((0.0, "i0e"), {"input": 0.0}, "the slopes are 1 on the left, -1 on the right"),
        ),
    ),
    # -- rounding and signs ----------------------------------------------------------------------
    "abs": Formula("abs(input)", kinks=(Kink((0.0,), {"input": 0.0}, "the slopes are -1 on the left, 1 on the right"),)),
    "sign": Formula(
        "1 if input > 0 else -1 if input < 0 else 0", kinks=(Kink((0.0,), {"input": 0.0}, "jumps at 0; flat elsewhere"),)
    ),
    "floor": Formula("floor(input)", kinks=(_STEP,)),
    "ceil": Formula("ceil(input)", kinks=(_STEP,)),
    "trunc": Formula("trunc(input)", kinks=(_STEP,)),
    "round": Formula(
        "round(10**decimals * input) / 10**decimals",
        symbols={"decimals": "d"},
        kinks=(Kink((0.5, 0), {"input": 0.0}, "jumps halfway between integers; flat between them"),),
    ),
    "copysign": Formula(
        "abs(input) if other > 0 else -abs(input)",
        kinks=(
            Kink((0.0, 1.0), {"input": 0.0, "other": 0.0}, "the slopes are -1 on the left, 1 on the right"),
            Kink((2.0, 0.0), {"input": 1.0, "other": 0.0}, "jumps where `other` changes its sign; flat elsewhere"),
        ),
    ),
    "nextafter": Formula(
        "nextafter(input, other)", kinks=(Kink((1.0, 1.0), {"input": 0.0, "other": 0.0}, "the result is `other` itself"),)
    ),
    "clamp": Formula(
        "min if input < min else max if input > max else input",
        {
            "input": "g if min <= input <= max else 0",
            "min": "g if input < min < max else 0",
            "max": "g if input > max or min > max else 0",
        },
        symbols={"min": "a", "max": "b"},
        kinks=(
            Kink((1.0, 1.0, 2.0), {"input": 1.0}, "the slopes are 0 and 1; a bound counts as inside"),
            Kink((2.0, 1.0, 2.0), {"input": 1.0}, "the slopes are 1 and 0"),
        ),
        note="A bound may be None; here a is `min` and b is `max`.",
    ),
    # -- selection -------------------------------------------------------------------------------
    "where": Formula("input if condition else other", symbols={"condition": "c"}),
    "maximum": Formula("max(input, other)", kinks=(Kink((3.0, 3.0), {"input": 0.5, "other": 0.5}, "ties share the gradient"),)),
    "minimum": Formula("min(input, other)", kinks=(Kink((3.0, 3.0), {"input": 0.5, "other": 0.5}, "ties share the gradient"),)),
    # -- activations -----------------------------------------------------------------------------
    "relu": Formula(
        "max(input, 0)",
        {"input": "g if out > 0 else 0"},
        kinks=(Kink((0.0,), {"input": 0.0}, "the slopes are 0 on the left, 1 on the right"),),
    ),
    "leaky_relu": Formula(
        "input if input > 0 else slope * input",
        symbols={"slope": "s"},
        kinks=(Kink((0.0, 0.1), {"input": 0.1}, "the slopes are s on the left, 1 on the right"),),
    ),
    "hardtanh": Formula(
        "min(max(input, low), high)",
        symbols={"low": "a", "high": "b"},
        kinks=(Kink((-1.0, -1.0, 1.0), {"input": 0.0}, "the slopes are 0 and 1; a bound counts as outside, unlike `clamp`"),),
    ),
    "elu": Formula(
        "scale * input if input > 0 else scale * alpha * (exp(rate * input) - 1)",
        {"input": "g * scale if input > 0 else g * scale * alpha * rate * exp(rate * input)"},
        symbols={"scale": "s", "rate": "r"},
        kinks=(Kink((0.0, 0.5, 1.0, 1.0), {"input": 0.5}, "the slopes are $`s \\alpha r`$ on the left, s on the right, if they differ"),),
    ),
    "softplus": Formula(
        "input if beta * input > threshold else log(1 + exp(beta * input)) / beta",
        {"input": "g if beta * input > threshold else g * sigmoid(beta * input)"},
        symbols={"threshold": r"\theta"},
        kinks=(Kink((20.0, 1.0, 20.0), {"input": 1 / (1 + 2.061153622438558e-09)}, "a step of $`e^{-\\theta}`$ at the threshold"),),
    ),
    "silu": Formula("input * sigmoid(input)", {"input": "g * sigmoid(input) * (1 + input * (1 - sigmoid(input)))"}),
    "gelu": Formula(
        """
        tau = tanh(sqrt(2 / pi) * (input + 0.044715 * input**3))
        input * Phi(input) if approximate == 'none' else input / 2 * (1 + tau)
        """,
        {
            "input": """
        slope = sqrt(2 / pi) * (1 + 3 * 0.044715 * input**2) * (1 - tau**2)
        g * (Phi(input) + input * phi(input)) if approximate == 'none' else g / 2 * (1 + tau + input * slope)
        """
        },
        symbols={"slope": r"\tau'"},
        note="$`\\Phi`$ is the standard normal distribution function, $`\\varphi`$ its density.",
    ),
    "masked": Formula("scale * input if kept else 0", {"input": "g * scale if kept else 0"}, symbols={"scale": "s", "kept": "k"}),
}
