"""What a check has found, as data and in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False)
class Finding:
    """One thing that is wrong. `check`: what was checked, such as "gradient" or "strides". `case`: the inputs it was checked
    with, their names, shapes and dtypes. `message`: what is wrong, in words. `numbers`: the figures behind it, such as the
    factor and the largest difference. `error`: what was raised, if something was."""

    check: str
    case: str
    message: str
    numbers: dict[str, float] = field(default_factory=dict)
    error: Exception | None = None

    def __str__(self) -> str:
        figures = ", ".join(f"{name} {value:.6g}" for name, value in self.numbers.items())
        return f"{self.check}: {self.message}" + (f" ({figures})" if figures else "") + (f"\n    with {self.case}" if self.case else "")


@dataclass(eq=False)
class Report:
    """The outcome of a check: `findings` in the order in which they were found, none if `ok`. `checks`: what was checked;
    `left_out`: what was not, and why."""

    subject: str
    findings: list[Finding] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.findings

    def add(
        self, check: str, case: str, message: str, numbers: dict[str, float] | None = None, error: Exception | None = None
    ) -> None:
        """Add a finding."""
        self.findings.append(Finding(check, case, message, numbers or {}, error))

    @contextmanager
    def checking(self, check: str, case: str = "") -> Iterator[None]:
        """Note that the block checks something; what it raises is a finding."""
        if check not in self.checks:
            self.checks.append(check)
        try:
            yield
        except Exception as error:
            self.add(check, case, f"raises {type(error).__name__}: {error}", error=error)

    def leave_out(self, check: str, reason: str) -> None:
        """Note that something is not checked."""
        self.left_out.setdefault(check, reason)
        self.checks = [each for each in self.checks if each != check]

    def concluded(self, raise_exception: bool, ignore: Sequence[str] = ()) -> Report:
        """This report without what the checks in `ignore` found; with `raise_exception`, raise an AssertionError with its text
        unless it is ok. Raises a ValueError for a name in `ignore` that is none of a check."""
        known = {*self.checks, *self.left_out, *(finding.check for finding in self.findings)}
        if unknown := [check for check in ignore if check not in known]:
            raise ValueError(f"ignore: expected names of checks ({', '.join(sorted(known))}), got {unknown[0]!r}")
        self.findings = [finding for finding in self.findings if finding.check not in ignore]
        for check in ignore:
            self.leave_out(check, "it is to be ignored")
        if raise_exception and not self.ok:
            errors = [finding.error for finding in self.findings if finding.error is not None]
            raise AssertionError(str(self)) from (errors[0] if errors else None)
        return self

    def __str__(self) -> str:
        if self.ok:
            lines = [f"{self.subject}: nothing wrong"]
        else:
            lines = [f"{self.subject}: {len(self.findings)} thing{'s' * (len(self.findings) > 1)} wrong"]
            lines += [f"  {finding}" for finding in self.findings]
        lines.append(f"  checked: {', '.join(self.checks)}")
        lines += [f"  not checked: {check}, because {reason}" for check, reason in self.left_out.items()]
        return "\n".join(lines)

    __repr__ = __str__
