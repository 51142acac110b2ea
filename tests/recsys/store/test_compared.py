"""What was compared last, and which deliveries of ratings have had their turn."""

from pathlib import Path

import pytest

from recsys.settings import OutputSettings, ScalingSettings, Settings
from recsys.store.compared import Compared, digests, last_compared, outstanding, remember
from recsys.store.store import Store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(output=OutputSettings(store=str(tmp_path / "store")))


@pytest.fixture
def compared(tmp_path: Path) -> Compared:
    report = tmp_path / "report"
    report.mkdir()
    (report / "report.html").touch()
    return Compared(ratings="ratings.csv", sha256="0123", report=str(report))


def test_a_comparison_is_remembered_under_the_same_settings(settings: Settings, compared: Compared) -> None:
    assert last_compared(settings) is None
    remember(settings, compared)
    assert last_compared(settings) == compared
    assert (
        last_compared(settings.model_copy(update={"refresh": True, "scaling": ScalingSettings(time_limit=5)}))
        == compared
    )
    assert last_compared(settings.model_copy(update={"seed": 43})) is None


def test_a_report_that_is_gone_was_not_compared(settings: Settings, compared: Compared) -> None:
    remember(settings, compared)
    (Path(compared.report) / "report.html").unlink()
    assert last_compared(settings) is None


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"ratings": "a"}'])
def test_a_damaged_note_of_the_last_comparison_is_none(settings: Settings, compared: Compared, damage: str) -> None:
    remember(settings, compared)
    (note,) = Path(settings.output.store).glob("compared/*.json")
    note.write_text(damage)
    assert last_compared(settings) is None


OLD, MIDDLE, NEW = Path("old.csv"), Path("middle.csv"), Path("new.csv")


def test_of_a_folder_the_newest_is_compared_first_and_what_was_there_before_is_not(compared: Compared) -> None:
    present = {OLD: "a", NEW: "b"}
    assert outstanding(present, None) == [NEW]
    first = Compared("new.csv", "b", compared.report).after(None, present)
    assert outstanding(present, first) == []
    assert first.delivered == ["a", "b"]


def test_what_is_delivered_later_has_its_turn_whatever_its_time_or_name(compared: Compared) -> None:
    first = Compared("new.csv", "b", compared.report).after(None, {NEW: "b"})
    assert outstanding({OLD: "a", MIDDLE: "c", NEW: "b"}, first) == [OLD, MIDDLE]
    second = Compared("old.csv", "a", compared.report).after(first, {OLD: "a", MIDDLE: "c", NEW: "b"})
    assert outstanding({OLD: "a", MIDDLE: "c", NEW: "b"}, second) == [MIDDLE]
    assert outstanding({Path("another name.csv"): "a", NEW: "b"}, second) == []
    assert outstanding({NEW: "changed in place"}, second) == [NEW]


def test_a_delivery_that_fails_lets_others_go_first_and_is_tried_again(compared: Compared) -> None:
    first = Compared("new.csv", "b", compared.report).after(None, {NEW: "b"})
    failed = first.but_failed("a")
    assert outstanding({OLD: "a", MIDDLE: "c"}, failed) == [MIDDLE, OLD]
    then = Compared("middle.csv", "c", compared.report).after(failed, {OLD: "a", MIDDLE: "c"})
    assert outstanding({OLD: "a", MIDDLE: "c"}, then) == [OLD]
    assert Compared("old.csv", "a", compared.report).after(then, {OLD: "a"}).failed == []


def test_a_record_without_an_account_of_deliveries_takes_them_as_compared(compared: Compared) -> None:
    assert compared.delivered is None
    assert outstanding({OLD: "a", NEW: compared.sha256}, compared) == []
    assert outstanding({OLD: "a", NEW: "b"}, compared) == [NEW]
    assert compared.after(compared, {OLD: "a", NEW: compared.sha256}).delivered == ["a", compared.sha256]


def test_a_file_that_cannot_be_read_has_no_digest_and_one_that_is_gone_is_left_out(
    settings: Settings, compared: Compared, tmp_path: Path
) -> None:
    file, folder = tmp_path / "a.csv", tmp_path / "b.csv"
    file.write_text("1,2,3")
    folder.mkdir()
    found = digests(Store(settings.output.store), [file, folder, tmp_path / "gone.csv"])
    assert list(found) == [file, folder]
    assert len(found[file]) == 64
    assert found[folder] == ""
    assert outstanding(found, Compared("x", "x", compared.report).after(None, found)) == [folder]
