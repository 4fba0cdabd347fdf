"""Products, factorizations and functions of matrices."""

from __future__ import annotations

from math import inf, nan

from tinygrad_lite.study.formulas.formula import Formula, Kink

_Y = {"out": "Y", "result": "Y", "g": r"\bar{Y}", "input": "X"}
_EQUAL = "two equal values: any turn of their vectors would do; a difference of 0 divided by the gap 0 counts as 0"

TABLE = {
    "matmul": Formula(
        "input @ other",
        {"input": "g @ other.mT", "other": "input.mT @ g"},
        symbols=_Y | {"other": "Z"},
        note="For two matrices; a 1-d operand is a row on the left or a column on the right.",
    ),
    "contract": Formula("contract(input, other, (spec[0], spec[1], spec[2]))", symbols={"spec": "s"}),
    "inv": Formula("inv(A)", symbols=_Y),
    "pinv": Formula(
        "pinv(A)",
        {
            "A": """
        G = g.mT
        -out.mT @ g @ out.mT + (G - A @ out @ G) @ out @ out.mT + out.mT @ out @ (G - G @ out @ A)
        """
        },
        symbols=_Y,
        kinks=(Kink(([[0.0]], None, None), {"A": [[0.0]]}, "a change of rank: the result jumps"),),
    ),
    "solve": Formula("inv(A) @ B", {"A": "-inv(A).mT @ g @ out.mT", "B": "inv(A).mT @ g"}, symbols=_Y),
    "solve_triangular": Formula(
        """
        T = triu(A) if upper else tril(A)
        inv(T) @ B
        """,
        {
            "A": """
        S = -inv(T).mT @ g @ out.mT
        triu(S) if upper else tril(S)
        """,
            "B": "inv(T).mT @ g",
        },
        symbols=_Y,
        note="With `unit`, the diagonal of T is ones, and that of the gradient of A zeros.",
    ),
    "cholesky": Formula(
        "cholesky(A)",
        {
            "A": """
        S = tril(out.mT @ g) - 1 / 2 * diag(out.mT @ g)
        1 / 2 * inv(out).mT @ (S + S.mT) @ inv(out)
        """
        },
        symbols={"out": "L", "result": "L", "g": r"\bar{L}"},
        note="$`A = L L^\\top`$, and diag keeps the diagonal of a matrix.",
    ),
    "qr": Formula(
        "Q, R = qr(A)",
        {
            "A": """
        S = R @ R_bar.mT - Q_bar.mT @ Q
        (Q_bar + Q @ (tril(S) + tril(S, -1).mT)) @ inv(R).mT
        """
        },
        note="For independent columns.",
        kinks=(Kink(([[0.0]], "reduced"), {"A": [[nan]]}, "dependent columns: R has no inverse"),),
    ),
    "lu_factor": Formula(
        """
        P, L, U = lu(A)
        L + U - I
        """,
        {
            "A": """
        S = tril(L.mT @ tril(g, -1), -1) + triu(triu(g) @ U.mT)
        P @ inv(L).mT @ S @ inv(U).mT
        """
        },
        symbols=_Y,
        note="$`A = P L U`$; the second result is P as a list of exchanges.",
    ),
    "eigh": Formula(
        "w, V = eigh(A)",
        {
            "A": """
        S = V.mT @ V_bar
        M[i, j] = w_bar[i] if i == j else (S[i, j] - S[j, i]) / (2 * (w[j] - w[i]))
        V @ M @ V.mT
        """
        },
        kinks=(Kink(([[1.0, 0.0], [0.0, 1.0]], "L"), {"A": [[1.0, 0.0], [0.0, 1.0]]}, _EQUAL),),
        note="$`A = V \\mathrm{diag}(w) V^\\top`$ for symmetric A.",
    ),
    "svd": Formula(
        "U, S, Vh = svd(A)",
        {
            "A": """
        P = U.mT @ U_bar
        Q = Vh @ Vh_bar.mT
        M[i, j] = S_bar[i] if i == j else (S[j] * (P[i, j] - P[j, i]) + S[i] * (Q[i, j] - Q[j, i])) / (S[j]**2 - S[i]**2)
        U @ M @ Vh
        """
        },
        symbols={"S": "s", "Vh": "V", "S_bar": r"\bar{s}", "Vh_bar": r"\bar{V}"},
        kinks=(Kink(([[1.0, 0.0], [0.0, 1.0]], False), {"A": [[1.0, 0.0], [0.0, 1.0]]}, _EQUAL),),
        note="$`A = U \\mathrm{diag}(s) V`$, where V is `Vh`, and A is square; otherwise there is a term outside the span of U or V.",
    ),
    "det": Formula(
        "det(A)",
        {"A": "g * out * inv(A).mT"},
        note="Of a singular matrix the rule gives the cofactors, which exist without an inverse.",
    ),
    "slogdet": Formula(
        """
        s = sign(det(A))
        l = log(abs(det(A)))
        (s, l)
        """,
        {"A": "l_bar * inv(A).mT"},
        kinks=(Kink(([[0.0]],), {"A": [[inf]]}, "a singular matrix: $`-\\infty`$"),),
        symbols={"l": r"\ell"},
    ),
    "matrix_exp": Formula(
        "sum(1 / factorial(k) * matrix_power(A, k) for k in range(inf))",
        {
            "A": "sum(1 / factorial(j + k + 1) * matrix_power(A.mT, j) @ g @ matrix_power(A.mT, k) for j in range(inf) for k in range(inf))"
        },
        symbols=_Y,
    ),
    "euclidean": Formula(
        "out[i, j] = sqrt(sum((x1[i, k] - x2[j, k])**2 for k in range(K)))",
        {
            "x1": "x1[i, k] = sum(g[i, j] / out[i, j] * (x1[i, k] - x2[j, k]) for j in range(J))",
            "x2": "x2[j, k] = -sum(g[i, j] / out[i, j] * (x1[i, k] - x2[j, k]) for i in range(I))",
        },
        symbols={"x1": "a", "x2": "b"},
        note="a is `x1`, b is `x2`.",
        kinks=(Kink(([[1.0]], [[1.0]], False), {"x1": [[0.0]], "x2": [[0.0]]}, "two equal points: the tip of a cone"),),
    ),
}
