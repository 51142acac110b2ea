"""What is said of two reports, and what is not where they were not tested on the same ratings."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import BadManifest, StoreUnavailable
from recsys.evaluation.results import Comparison
from recsys.report.diff import diff, write_diff
from recsys.report.html import html_page
from recsys.report.section import Report, Section
from tests.made_reports import write_records

WithMSE = Callable[..., Comparison]
BEFORE = {"mf": 0.9, "dnn": 0.8, "bias_only": 0.95}


def findings(report: Report) -> dict[str, str]:
    return {finding.topic: finding.text for finding in report.answer.findings}


def rows(section: Section) -> dict[str, list[str]]:
    return {row[0].text: [cell.text for cell in row[1:]] for row in section.tables[0].rows}


def sections(report: Report) -> dict[str, Section]:
    return {section.anchor: section for section in report.sections}


@pytest.fixture
def compared(with_mse: WithMSE, tmp_path: Path) -> Callable[..., Report]:
    """The diff of a run of `BEFORE` and another with other facts of its data; `changes` are those of its record."""

    def build(now: dict[str, float], facts: dict[str, Any] | None = None, **changes: Any) -> Report:
        second = with_mse(changes.get("protocol", "fair"), **now)
        update = {"data": second.data.model_copy(update=facts or {}), **changes.get("evidence", {})}
        one = write_records(tmp_path / "one", with_mse(**BEFORE))
        return diff(one, write_records(tmp_path / "other", second.model_copy(update=update), **changes))

    return build


def test_the_same_report_twice_differs_in_nothing(with_mse: WithMSE, tmp_path: Path) -> None:
    folder = write_records(tmp_path / "one", with_mse(**BEFORE))
    report = diff(folder, str(folder))
    write_diff(report, str(tmp_path / "diff.html"))
    assert (tmp_path / "diff.html").read_text(encoding="utf-8") == html_page(report)
    assert report.answer.title == "Nothing differs"
    assert set(findings(report)) == {"same"}
    assert set(sections(report)) == {"scores"}
    assert {cells[2] for cells in rows(report.sections[0]).values()} == {"0"}


def test_an_older_report_twice_differs_in_nothing_known(with_mse: WithMSE, tmp_path: Path) -> None:
    folder = write_records(tmp_path / "one", with_mse(**BEFORE), test=None)
    report = diff(folder, folder)
    assert report.answer.title == "Nothing differs"
    assert "test ratings" not in findings(report)["same"]


def test_rows_on_the_same_test_ratings_improve_or_become_worse(compared: Callable[..., Report]) -> None:
    report = compared({"mf": 0.85, "dnn": 0.81, "bias_only": 0.951})
    found = findings(report)
    assert report.answer.title.startswith("Of 3 rows on the same test ratings, 1 improved and 1 became worse")
    assert "MF by 0.05" in found["improved"]
    assert "DNN by 0.01" in found["worse"]
    assert "0.0045" in found["improved"]
    assert "Became worse, but by no more than" in found["slight"]
    assert "bias only by 0.001" in found["slight"]
    assert "chance" not in found
    scores = rows(sections(report)["scores"])
    assert scores["MF"] == ["0.9000", "0.8500", "−0.0500"]
    assert scores["DNN"][2] == "+0.0100"


def test_the_smallest_effect_of_the_settings_decides(compared: Callable[..., Report]) -> None:
    found = findings(compared({**BEFORE, "mf": 0.85}, evidence={"min_effect": 0.1}))
    assert "improved" not in found
    assert "MF by 0.05" in found["slight"]
    assert "0.1" in found["slight"]


def test_differences_that_few_test_ratings_cannot_show_are_named(compared: Callable[..., Report]) -> None:
    report = compared({**BEFORE, "mf": 0.85, "dnn": 0.3}, facts={"test_rows": 100})
    found = findings(report)
    assert "MF" in found["chance"]
    assert "DNN" not in found["chance"]
    assert "chance" not in report.answer.title


def test_the_answer_says_that_all_may_be_chance(compared: Callable[..., Report]) -> None:
    assert "may be chance" in compared({**BEFORE, "mf": 0.85}, facts={"test_rows": 100}).answer.title


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"test": "b"}, "different ratings"),
        ({"ratings": "b"}, "different ratings"),
        ({"test": None}, "Not known"),
    ],
)
def test_nothing_is_called_a_gain_on_other_test_ratings(
    compared: Callable[..., Report], changes: dict[str, str | None], title: str
) -> None:
    report = compared({"mf": 0.7, "dnn": 0.9, "bias_only": 0.951}, **changes)
    assert title in report.answer.title
    assert "cannot be compared" in report.answer.title
    assert set(findings(report)) <= {"test ratings", "same"}
    assert rows(sections(report)["scores"])["MF"] == ["0.9000", "0.7000"]
    text = " ".join([report.answer.title, *findings(report).values(), sections(report)["scores"].tables[0].caption])
    assert not any(word in text for word in ("improved", "Improved", "worse", "better"))


def test_protocols_are_no_fair_match(compared: Callable[..., Report]) -> None:
    assert "test ratings" in findings(compared({**BEFORE, "mf": 0.7}, protocol="notebook"))["protocol"]


def test_rows_of_one_report_alone_stand_beside_a_dash(compared: Callable[..., Report]) -> None:
    report = compared({"mf": 0.9, "dnn_tuned": 0.7, "bias_only": 0.95})
    scores = rows(sections(report)["scores"])
    assert scores["DNN"] == ["0.8000", "–", "–"]
    assert scores["Tuned DNN"] == ["–", "0.7000", "–"]
    assert report.answer.title.startswith("Of 2 rows")


def test_settings_ratings_versions_and_the_last_digit_are_told(compared: Callable[..., Report], tmp_path: Path) -> None:
    compared({**BEFORE, "mf": 0.9 + 2**-50}, facts={"users": 9}, ratings="b", dnn={"units": [64]}, seed=7)
    path = tmp_path / "other" / "manifest.json"
    document = json.loads(path.read_bytes())
    document["versions"]["numpy"] = "0.1"
    document["code"]["recsys.new"] = "1"
    path.write_text(json.dumps(document))
    found = sections(diff(tmp_path / "one", tmp_path / "other"))
    assert rows(found["settings"]) == {"dnn.units": ["128 128", "64"], "seed": ["42", "7"]}
    assert rows(found["ratings"])["users"] == ["702", "9"]
    assert rows(found["ratings"])["SHA-256 of the file, its beginning"] == ["a", "b"]
    assert rows(found["versions"])["numpy"][1] == "0.1"
    assert "recsys/new.py is new" in found["versions"].findings[0].text
    full = [[cell.text for cell in row] for row in found["scores"].tables[1].rows]
    assert ["mf", "mse", "0.9", repr(0.9 + 2**-50)] in full


def test_the_page_is_written_whole_and_escaped(compared: Callable[..., Report], tmp_path: Path) -> None:
    report = compared({**BEFORE, "mf": 0.85}, facts={"source": "<script>x</script>"})
    page = tmp_path / "diff.html"
    write_diff(report, page)
    assert page.read_text(encoding="utf-8") == html_page(report)
    assert report.answer.title in page.read_text(encoding="utf-8")
    assert page.read_text(encoding="utf-8").count("<script") == 1  # its own
    assert {path.name for path in tmp_path.iterdir()} == {"one", "other", "diff.html"}


def test_a_page_that_cannot_be_written_is_an_error_of_one_sentence(
    compared: Callable[..., Report], tmp_path: Path
) -> None:
    report = compared(BEFORE)
    with pytest.raises(StoreUnavailable, match="diff cannot be written") as refused:
        write_diff(report, tmp_path / "absent" / "diff")
    assert "\n" not in str(refused.value)
    with pytest.raises(StoreUnavailable):
        write_diff(report, tmp_path / "one")
    assert {path.name for path in tmp_path.iterdir()} == {"one", "other"}


@pytest.mark.parametrize("name", ["comparison.json", "manifest.json"])
def test_what_is_no_report_is_refused(with_mse: WithMSE, tmp_path: Path, name: str) -> None:
    folder = write_records(tmp_path / "one", with_mse(**BEFORE))
    broken = write_records(tmp_path / "other", with_mse(**BEFORE))
    (broken / name).write_text((broken / name).read_text()[:-30])
    with pytest.raises(BadManifest, match=f"other/{name} .* is damaged") as refused:
        diff(folder, broken)
    assert "\n" not in str(refused.value)
    (broken / name).unlink()
    with pytest.raises(BadManifest, match=f"other/{name} cannot be read"):
        diff(folder, broken)
