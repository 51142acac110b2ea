"""What differs between two reports; a row is called better or worse only where both have the same test ratings."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.errors import StoreUnavailable
from recsys.evaluation.results import BaselineResult, Comparison
from recsys.report.html import html_page
from recsys.report.manifest import UNRECORDED, RunManifest, read_comparison, read_manifest
from recsys.report.outcomes import effect, every_row, mse_step, tie_margin
from recsys.report.replay import changed_modules, changed_versions, moved_scores
from recsys.report.section import Finding, Report, Section, Table, findings_on, text_table
from recsys.store.fingerprint import differing
from recsys.text import NOTHING, count, inside, listed, listing, number, opening, short

COLUMNS = ("First", "Second")
DIGITS = 12
"""Of a digest that is shown; all of it is in manifest.json."""


@dataclass(frozen=True)
class _Run:
    name: str
    comparison: Comparison
    manifest: RunManifest

    @property
    def rows(self) -> dict[str, BaselineResult]:
        return {row.name: row for row in every_row(self.comparison)}


def diff(first: str | Path, second: str | Path) -> Report:
    """Return what differs between two reports, given their folders.

    Test errors are compared only where the manifests show, by digests of the ratings and of the row numbers of the
    test ratings, that both reports are of the same test ratings.

    Raises:
        BadManifest: one of the folders is not that of a report, or its files are damaged.
    """
    first, second = (Path(folder).expanduser() for folder in (first, second))
    names = [folder.resolve().name for folder in (first, second)]
    if names[0] == names[1]:
        names = [str(first), str(second)]
    one, other = (
        _Run(name, read_comparison(folder), read_manifest(folder / "manifest.json"))
        for name, folder in zip(names, (first, second), strict=True)
    )
    settings, ratings, versions = _settings(one, other), _ratings(one, other), _versions(one, other)
    same = {
        "settings": settings is None,
        "ratings": ratings is None,
        "test ratings": _same_tests(one, other),
        "versions and code": versions is None,
        "scores": one.manifest.scores == other.manifest.scores,
        "verdicts": one.manifest.verdict == other.manifest.verdict,
    }
    title, findings = _judged(one, other) if False in same.values() else ("Nothing differs", [])
    alike = listing([name for name, is_same in same.items() if is_same])
    findings += findings_on("same", [f"The same in both: {alike}." if alike else ""])
    verdicts = Section("", "Verdicts", facts=[(run.name, f"{run.manifest.verdict}.") for run in (one, other)])
    return Report(
        f"Two reports · first: {one.name} · second: {other.name}",
        Section("answer", title, findings, parts=[verdicts]),
        [_scores(one, other), *(section for section in (settings, ratings, versions) if section)],
    )


def write_diff(report: Report, path: str | Path) -> None:
    """Write what `diff` returned as a page of HTML that needs nothing else.

    Raises:
        StoreUnavailable: it cannot be written there.
    """
    path = Path(path).expanduser()
    fresh = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        try:
            fresh.write_text(html_page(report), encoding="utf-8", newline="\n")
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"{path} cannot be written ({error.strerror}): make room or permission there, or choose another place."
        ) from error


def _same_tests(one: _Run, other: _Run) -> bool | None:
    """Whether both were tested on the same ratings; None where one of them does not have it on record."""
    tests = [run.manifest.test_ratings for run in (one, other)]
    return None if None in tests else tests[0] == tests[1]


def _judged(one: _Run, other: _Run) -> tuple[str, list[Finding]]:
    """The answer, and what it rests on: which rows moved, or why that cannot be said."""
    same = _same_tests(one, other)
    if same:
        return _moves(one, other)
    if same is None:
        which = listing([name for name, run in (("first", one), ("second", other)) if not run.manifest.test_ratings])
        title = "Not known to be tested on the same ratings: the numbers cannot be compared"
        why = f"It is not on record which ratings the {which} report held out: repeat the run to find out."
    else:
        title = "Tested on different ratings: the numbers cannot be compared"
        why = "A lower error on other ratings is no gain. To compare two runs, give both the same ratings and split."
    return title, [Finding("test ratings", why)]


def _moves(one: _Run, other: _Run) -> tuple[str, list[Finding]]:
    """Which rows improved or became worse on the same test ratings, and by how much."""
    now, runs = other.rows, (one.comparison, other.comparison)
    gaps = [(now[name].title, now[name].mse - row.mse) for name, row in one.rows.items() if name in now]
    smallest, chance = (max(limit(run) for run in runs) for limit in (effect, tie_margin))
    better = [(title, gap) for title, gap in gaps if gap < -smallest]
    worse = [(title, gap) for title, gap in gaps if gap > smallest]
    slight = [(title, gap) for title, gap in gaps if 0 < abs(gap) <= smallest]
    uncertain = [inside(title) for title, gap in (*better, *worse) if abs(gap) <= chance]
    beyond = f"by more than the smallest effect, {short(smallest)},"
    findings = [
        *findings_on("improved", [f"Improved {beyond} in MSE: {_by(better)}." if better else ""]),
        *findings_on("worse", [f"Became worse {beyond} in MSE: {_by(worse)}." if worse else ""]),
        *findings_on("slight", _slight(slight, smallest)),
    ]
    if uncertain:
        tests = count(other.comparison.data.test_rows, "test rating")
        text = f"With {tests}, differences of up to {short(chance)} may be chance: {listing(uncertain)}."
        findings.append(Finding("chance", text))
    if len({run.protocol for run in runs}) > 1:
        text = "Protocol notebook selects on the test ratings, so that its errors are lower than on ratings of which "
        findings.append(Finding("protocol", f"{text}nothing was known: the protocols are no fair match."))
    moved = [f"{len(found)} {how}" for found, how in ((better, "improved"), (worse, "became worse")) if found]
    if moved:
        told = f"{listing(moved)} by more than the smallest effect"
        told += ", which may be chance" if len(uncertain) == len(better) + len(worse) else ""
    else:
        told = "none moved by more than the smallest effect" if slight else "none has another error"
    return f"Of {count(len(gaps), 'row')} on the same test ratings, {told}", findings


def _by(gaps: Sequence[tuple[str, float]]) -> str:
    return listing([f"{inside(title)} by {short(abs(gap))}" for title, gap in gaps])


def _slight(gaps: Sequence[tuple[str, float]], smallest: float) -> Iterator[str]:
    for what, sign in (("Improved", -1), ("Became worse", 1)):
        found = [(title, gap) for title, gap in gaps if gap * sign > 0]
        if found:
            yield f"{what}, but by no more than the smallest effect, {short(smallest)}, in MSE: {_by(found)}."


def _scores(one: _Run, other: _Run) -> Section:
    """The errors of each row side by side, and every score that is not the same."""
    before, now, comparable = one.rows, other.rows, _same_tests(one, other)
    rows = []
    for name in dict.fromkeys((*now, *before)):
        old, new = before.get(name), now.get(name)
        title = next(row.title for row in (new, old) if row)
        cells = [_mse(run, row) for run, row in ((one, old), (other, new))]
        if comparable:
            cells.append(_difference(new.mse - old.mse, mse_step(other.comparison)) if old and new else NOTHING)
        rows.append([opening(title), *cells])
    meaning = {
        True: "the difference is the second less the first, so that below 0 the second is better",
        False: "not on the same ratings",
        None: "not known to be on the same ratings",
    }[comparable]
    tables = [
        text_table(
            f"Test MSE in squared rating units; {meaning}.",
            ["Row", *COLUMNS, *(["Difference"] if comparable else [])],
            rows,
        )
    ]
    moved = moved_scores(one.manifest.scores, other.manifest.scores)
    full = [[score.row, score.metric, _full(score.before), _full(score.now)] for score in moved]
    if full:
        title = f"{count(len(full), 'score')} that {'differs' if len(full) == 1 else 'differ'}"
        caption = "Every score that is not the same, in full; behind a row of another split stands the split."
        tables.append(text_table(caption, ["Row", "Metric", *COLUMNS], full, title))
    return Section("scores", "Scores", tables=tables)


def _mse(run: _Run, row: BaselineResult | None) -> str:
    return number(row.mse, mse_step(run.comparison)) if row else NOTHING


def _difference(gap: float, step: float) -> str:
    """A difference with its sign; one that is too small to be seen has none, and decimals all the same."""
    text = "0" if gap == 0 else number(gap, step)
    return f"+{text}" if gap > 0 and text.strip("0.") else text


def _full(score: float | None) -> str:
    return NOTHING if score is None else repr(score)


def _settings(one: _Run, other: _Run) -> Section | None:
    before, now = (run.manifest.settings.model_dump(mode="json", exclude=UNRECORDED) for run in (one, other))
    rows = [[name, _value(old), _value(new)] for name, old, new in differing(before, now)]
    tables = _table("Settings that differ, by their names in a YAML file of settings.", "Setting", rows)
    return Section("settings", "Settings", tables=tables) if rows else None


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or NOTHING
    if value is None or isinstance(value, bool):
        return NOTHING if value is None else "yes" if value else "no"
    return str(value)


def _ratings(one: _Run, other: _Run) -> Section | None:
    rows = [[*row] for row in differing(_facts(one), _facts(other))]
    tables = _table("Digest, counts and distribution, as far as they differ.", "Property", rows)
    return Section("ratings", "Ratings", tables=tables) if rows else None


def _facts(run: _Run) -> dict[str, str]:
    data = run.comparison.data
    counts = {
        "ratings": data.rows,
        "users": data.users,
        "items": data.items,
        "training ratings": data.train_rows,
        "validation ratings": data.validation_rows,
        "test ratings": data.test_rows,
        "cold test ratings": data.cold_test_rows,
        "invalid rows set aside": data.quarantined_rows,
    }
    values = {
        "mean rating": data.rating_mean,
        "standard deviation": data.rating_sd,
        "lowest rating": data.rating_min,
        "highest rating": data.rating_max,
    }
    return {
        "source": data.source,
        "SHA-256 of the file, its beginning": run.manifest.ratings.sha256[:DIGITS],
        **{name: f"{rows:,}" for name, rows in counts.items()},
        **{name: short(value) for name, value in values.items()},
    }


def _versions(one: _Run, other: _Run) -> Section | None:
    rows, modules = changed_versions(one.manifest, other.manifest), changed_modules(one.manifest, other.manifest)
    code = findings_on("code", [f"Code of this project: {listed(modules)}." if modules else ""])
    tables = _table("Libraries, Python and processor that differ.", "Name", rows)
    return Section("versions", "Versions and code", code, tables) if rows or modules else None


def _table(caption: str, heading: str, rows: Sequence[Sequence[str]]) -> list[Table]:
    return [text_table(caption, [heading, *COLUMNS], rows)] if rows else []
