"""Prints the size of the library: lines per file, and the number of primitives."""

import io
import tokenize
from pathlib import Path

import tinygrad_lite
import tinygrad_lite.nn  # its primitives
from tinygrad_lite.autograd import NONDIFFERENTIABLE, REGISTRY

ROOT = Path(__file__).parents[1]


def lines_of_code(path: Path) -> int:
    """Lines with code on them: no blank lines, comments or docstrings."""
    kept: set[int] = set()
    previous = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in (
            tokenize.COMMENT,
            tokenize.NL,
            tokenize.NEWLINE,
            tokenize.INDENT,
            tokenize.DEDENT,
            tokenize.ENDMARKER,
        ):
            if token.type != tokenize.COMMENT:
                previous = token.type
            continue
        is_docstring = token.type == tokenize.STRING and previous in (
            tokenize.NEWLINE,
            tokenize.INDENT,
            tokenize.NL,
            tokenize.DEDENT,
        )
        if not is_docstring:
            kept.update(range(token.start[0], token.end[0] + 1))
        previous = token.type
    return len(kept)


def main() -> None:
    total = code = 0
    for path in sorted((ROOT / "tinygrad_lite").rglob("*.py")):
        lines, of_code = len(path.read_text().splitlines()), lines_of_code(path)
        total, code = total + lines, code + of_code
        print(f"{lines:6} lines, {of_code:5} of code  {path.relative_to(ROOT)}")
    print(f"{total:6} lines, {code:5} of code  in all")
    names = [name for name in dir(tinygrad_lite) if not name.startswith("_")]
    operations = f"{len(REGISTRY)} primitives and {len(NONDIFFERENTIABLE)} functions without a gradient"
    print(f"{operations}, under {len(names)} names at the top level")


if __name__ == "__main__":
    main()
