"""The page of a run, lab.html: one file that needs no other, and asks the network for nothing."""

from __future__ import annotations

import base64
import builtins
import io
import keyword
import re
import tokenize
from html import escape
from pathlib import Path

from .core import HOLDS, HOLDS_IF, Measured
from .items import items
from .report import counts, digits, interval, not_held
from .results import Outcome, Results
from .themes import THEMES

STYLE = Path(__file__).with_name("page.css")
CLASSES = {HOLDS: "holds", HOLDS_IF: "if"}  # otherwise "fails"


def page(results: Results, folder: Path) -> str:
    """The page as text; the figures are read from `folder`."""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
    title = "<title>The lecture lab</title>"
    body = [opening(results), contents(results), *(section(outcome, folder) for outcome in results.outcomes)]
    style = f"<style>{STYLE.read_text(encoding='utf-8')}</style>"
    return f'<!doctype html>\n<html lang="en">\n<head>{head}{policy}{title}{style}</head>\n<body>\n{"".join(body)}</body>\n</html>\n'


def opening(results: Results) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    parts = [
        "<header><h1>The lecture lab</h1>",
        "<p>Claims of two lectures on training neural networks, each with the number that was measured, the bounds that were "
        "set before, and the verdict.</p>",
        f"<p><strong>{len(results.outcomes)} experiments. {escape(counts(results).capitalize())}.</strong></p>",
        "<p>The run was interrupted: what had finished is here.</p>" if results.interrupted else "",
        f'<p class="quiet">{"Fast" if results.fast else "Full"} run, seed {results.seed}, {escape(results.date)}, '
        f"{results.seconds:.0f} s; {escape(machine)}.</p>",
    ]
    for heading, outcomes in not_held(results).items():
        lines = [f"<li>{link(outcome)} {badge(outcome)}</li>" for outcome in outcomes]
        parts.append(f"<h2>{heading}</h2><ul>{''.join(lines)}</ul>")
    return "\n".join([*parts, "</header>\n"])


def contents(results: Results) -> str:
    """The items by lecture, each with links to its experiments."""
    found, part = ["<nav><h2>Contents</h2>"], ""
    for number, item in items().items():
        outcomes = [outcome for outcome in results.outcomes if number in outcome.items]
        if not outcomes:
            continue
        if item.part != part:
            found.append(f"{'</ul>' if part else ''}<h3>{escape(item.part)}</h3><ul>")
            part = item.part
        links = ", ".join(f'<span class="{css_class(outcome)} dot"></span>{link(outcome)}' for outcome in outcomes)
        found.append(f'<li><span class="number">{number}</span><span>{links}</span></li>')
    return "\n".join([*found, "</ul>" if part else "<p>No experiment.</p>", "</nav>\n"])


def section(outcome: Outcome, folder: Path) -> str:
    statements = [f"<dt>Item {number}</dt><dd>{inline(items()[number].statement)}</dd>" for number in outcome.items]
    parts = [
        f'<section id="{escape(outcome.name)}">',
        f'<p class="quiet">{escape(THEMES.get(outcome.theme, outcome.theme))}</p>',
        f"<h2>{inline(outcome.title)}</h2>",
        f"<p>{badge(outcome)}{changed(outcome)}</p>",
        f"<dl>{''.join(statements)}<dt>Claim</dt><dd>{inline(outcome.claim)}</dd></dl>",
        numbers(outcome.measured) if outcome.measured else "",
        f"<pre>{escape(outcome.error)}</pre>" if outcome.error else "",
        *(f"<p>{inline(remark)}</p>" for remark in outcome.remarks),
        *(figure(folder / file, caption) for file, caption in outcome.figures),
        *(table(head, [[escape(cell) for cell in row] for row in rows]) for head, rows in outcome.tables),
        f'<p class="quiet">Seeds: {", ".join(map(str, outcome.seeds)) or "none"}. Time: {outcome.seconds:.1f} s.</p>',
        f"<details><summary>Code: <code>{escape(outcome.name)}</code></summary><pre>{highlight(outcome.code)}</pre></details>",
        "</section>\n",
    ]
    return "\n".join(part for part in parts if part)


def css_class(outcome: Outcome) -> str:
    return CLASSES.get(outcome.verdict, "fails")


def badge(outcome: Outcome) -> str:
    return f'<span class="{css_class(outcome)} badge">{inline(outcome.words)}</span>'


def changed(outcome: Outcome) -> str:
    return "" if outcome.error or outcome.expected else f" The committed verdict is another: {escape(outcome.committed)}."


def link(outcome: Outcome) -> str:
    return f'<a href="#{escape(outcome.name)}">{inline(outcome.title)}</a>'


def numbers(measured: list[Measured]) -> str:
    rows = []
    for each in measured:
        under = "<br>under the condition" if each.number.under_the_condition else ""
        value = f'<span class="{"holds" if each.accepted else "fails"} value">{digits(each.value)}</span><br>{interval(each)}'
        rows.append([inline(each.number.name) + under, value, escape(each.number.bounds()), inline(each.number.why)])
    return table(["number", "measured", "bounds", "why these bounds"], rows, "numbers")


def table(head: list[str], rows: list[list[str]], name: str = "other") -> str:
    """A table of cells that are HTML already; `head` is plain text."""
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    return f'<div class="wide"><table class="{name}"><thead><tr>{names}</tr></thead><tbody>{cells}</tbody></table></div>'


def figure(path: Path, caption: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    source = f"data:image/{path.suffix[1:]};base64,{data}"
    return f'<figure><img src="{source}" alt="{escape(caption)}"><figcaption>{inline(caption)}</figcaption></figure>'


def inline(text: str) -> str:
    """The text, escaped, with `code` as code, and without the targets of Markdown's links."""
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def highlight(code: str) -> str:
    """Python with its keywords, strings, numbers and comments marked."""
    lines, parts, row, column = code.splitlines(keepends=True), [], 1, 0
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(code).readline))
    except (tokenize.TokenError, SyntaxError):
        return escape(code)
    for token in tokens:
        kind = kind_of(token)
        if kind:
            parts.append(escape(between(lines, (row, column), token.start)))
            parts.append(f'<span class="{kind}">{escape(token.string)}</span>')
            row, column = token.end
    return "".join([*parts, escape(between(lines, (row, column), (len(lines) + 1, 0)))])


def kind_of(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME and keyword.iskeyword(token.string):
        return "keyword"
    if token.type == tokenize.NAME and token.string in vars(builtins):
        return "builtin"
    name = tokenize.tok_name[token.type]
    return {"COMMENT": "comment", "NUMBER": "literal"}.get(name, "string" if name == "STRING" or name.startswith("FSTRING") else "")


def between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text from one (row, column) to another; rows count from 1."""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]] if start[0] <= len(lines) else ""
    last = lines[end[0] - 1][: end[1]] if end[0] <= len(lines) else ""
    return lines[start[0] - 1][start[1] :] + "".join(lines[start[0] : end[0] - 1]) + last
