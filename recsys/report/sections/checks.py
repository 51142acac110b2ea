"""The checks that fired, those that are muted, and those that found nothing."""

from collections.abc import Sequence

from recsys.evaluation.results import Comparison, FiredCheck
from recsys.report.checks import CHECKS, unmuted
from recsys.report.section import Cell, Finding, Heading, Plot, Section, Table, findings_on
from recsys.text import count, inside, listing, opening

CAPTION = (
    "An error: the verdict cannot be trusted, or is about something else. A warning: more effort or other choices may "
    "change it. A note: to know when reading it. docs/checks.md has a heading for each check."
)
HEADINGS = (
    Heading("Number"),
    Heading("Check", kind="prose"),
    Heading("Severity", kind="prose"),
    Heading("What was measured", kind="prose"),
    Heading("What to do", kind="prose"),
)


def section(comparison: Comparison, plots: Sequence[Plot]) -> Section | None:
    """Return the section; None for a comparison from before there were checks."""
    if comparison.checks is None:
        return None
    shown = [check for check in comparison.checks if not check.muted]
    rows = [
        [Cell(text) for text in (check.id, f"{check.title} ({check.name})", check.severity, check.measured, check.tip)]
        for check in shown
    ]
    return Section(
        "checks",
        "Checks",
        check_findings(comparison),
        [Table(CAPTION, HEADINGS, rows)] if rows else [],
        parts=_silent(comparison.checks),
        result=_counts(comparison),
    )


def check_findings(comparison: Comparison) -> list[Finding]:
    """How many checks fired and how many did not, and which are muted."""
    fired = comparison.checks or []
    silent = len(CHECKS) - len(fired)
    muted = [f"{check.id} {inside(check.title)} ({check.severity})" for check in fired if check.muted]
    counts = f"{opening(_counts(comparison))}; {silent:,} of the {count(len(CHECKS), 'check')} found nothing."
    return findings_on("checks", [counts, f"Muted, and not counted: {listing(muted)}." if muted else ""])


def checks_summary(comparison: Comparison) -> str:
    """In one line, how many checks fired, which errors and warnings, and which are muted; empty as `section` is."""
    if comparison.checks is None:
        return ""
    named = [*unmuted(comparison, "error"), *unmuted(comparison, "warning")]
    names = ", ".join(f"{check.id} {inside(check.title)}" for check in named)
    muted = ", ".join(check.id for check in comparison.checks if check.muted)
    return f"Checks: {_counts(comparison)}{names and f' ({names})'}{muted and f'; muted: {muted}'}."


def _counts(comparison: Comparison) -> str:
    counts = [count(len(unmuted(comparison, severity)), severity) for severity in ("error", "warning", "note")]
    return listing(counts)


def _silent(fired: Sequence[FiredCheck]) -> list[Section]:
    """The folded list of the checks that did not fire."""
    names = {check.id for check in fired}
    silent = [(f"{check.id} {check.name}", check.title) for check in CHECKS if check.id not in names]
    return [Section("", "The checks that found nothing", facts=silent, folded=True)] if silent else []
