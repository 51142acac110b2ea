"""Reports in the terminal."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from flows.show import CARD, show, show_report
from recsys.errors import BadManifest
from recsys.evaluation.results import Comparison
from recsys.report.answer import headline
from recsys.report.diff import diff
from recsys.report.publish import WINNER
from tests.made_reports import write_records
from tests.recsys.report.conftest import made

CARD_TEXT = """# Tuned MF

## Model

- **Fitted to**: all ratings: 1,000
- **L2 \\[factors\\]**: 0.1 \x1b[31m

## Limits

- Not for decisions about people \\*.
"""


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return made(rows=500)[0]


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=80, color_system=None)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_report_is_shown_with_the_card_as_text(comparison: Comparison, console: Console, tmp_path: Path) -> None:
    folder = write_records(tmp_path / "run", comparison)
    (folder / WINNER).mkdir()
    (folder / CARD).write_text(CARD_TEXT)
    show(console, folder)
    text = printed(console)
    assert headline(comparison) in text
    assert "Tuned DNN" in text
    assert "Fitted to: all ratings: 1,000" in text
    assert "L2 [factors]: 0.1 \\x1b[31m" in text
    assert "Not for decisions about people *." in text
    assert "**" not in text
    assert "#" not in text
    assert "\x1b" not in text


def test_a_report_without_a_model_to_use_has_no_card(comparison: Comparison, console: Console, tmp_path: Path) -> None:
    show(console, write_records(tmp_path / "run", comparison))
    assert headline(comparison) in printed(console)
    assert "Limits" not in printed(console)


def test_what_is_no_report_is_refused_in_one_sentence(console: Console, tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match=r"cannot be read .*: give the folder of a report") as refused:
        show(console, tmp_path / "absent")
    assert "\n" not in str(refused.value)
    (tmp_path / "comparison.json").write_text("{}")
    with pytest.raises(BadManifest, match=r"or is damaged \(protocol: Field required\)"):
        show(console, tmp_path)
    assert printed(console) == ""


def test_a_card_that_cannot_be_read_is_named(comparison: Comparison, console: Console, tmp_path: Path) -> None:
    folder = write_records(tmp_path / "run", comparison)
    (folder / CARD).mkdir(parents=True)
    with pytest.raises(BadManifest, match=r"card\.md cannot be read"):
        show(console, folder)


def test_a_diff_is_shown_with_its_tables(comparison: Comparison, console: Console, tmp_path: Path) -> None:
    one = write_records(tmp_path / "one", comparison)
    other = write_records(tmp_path / "other[b]", comparison, test="b", dnn={"dropout": 0.25})
    report = diff(one, other)
    show_report(console, report)
    lines = printed(console).splitlines()
    assert lines[0] == "Two reports · first: one · second: other[b]"
    assert lines[1] == f"{report.answer.title}."
    assert ["dnn.dropout", "0.0", "0.25"] in [line.split() for line in lines]
    assert any(line.split()[:2] == ["Tuned", "DNN"] for line in lines)
