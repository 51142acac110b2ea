"""The model to use: the lowest validation error, or a smaller model in a tie with it; and the note of the choice."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from recsys.errors import TrialsFailed
from recsys.evaluation.results import Tuning
from recsys.models.settings import FitSettings
from recsys.models.specs import MODEL, Family
from recsys.store.store import Manifest, Store
from recsys.tuning.search import Chosen, Found
from recsys.winner.choice import Choice, model_to_use, remembered_choice

ERRORS = np.random.default_rng(0).exponential(size=400)


def found(name: str, family: Family, parameters: int, *, failed: bool = False) -> Found:
    tuning = Tuning(
        name=name,
        title=name,
        family=family,
        trials_allowed=1,
        seconds_allowed=1,
        seconds_used=1,
        searched=[],
        trials=[],
        winner=None if failed else 0,
    )
    fit = Manifest(kind="trial", key=f"{name}-{parameters}", files=[], facts={"parameters": parameters}, seconds=1.0)
    return Found(tuning, {name: Chosen(FitSettings(epochs=1), TrialsFailed("every trial failed") if failed else fit)})


def searched(*, mf: int = 100, dnn: int = 900) -> dict[Family, Found]:
    return {"mf": found("mf_tuned", "mf", mf), "dnn": found("dnn_tuned", "dnn", dnn)}


class Errors:
    """Squared errors of the trials; those of networks are lower by `gain`."""

    def __init__(self, gain: float | npt.NDArray[np.float64]) -> None:
        self.gain = gain
        self.read = 0

    def __call__(self, trial: Manifest) -> npt.NDArray[np.float64]:
        self.read += 1
        return np.asarray(ERRORS - (self.gain if trial["key"].startswith("dnn") else 0.0))


def test_it_has_the_lowest_validation_error() -> None:
    for gain, name in ((0.1, "dnn_tuned"), (-0.1, "mf_tuned")):
        choice = model_to_use(searched(), Errors(gain))
        assert choice is not None
        assert choice.name == name
        assert "lowest validation error" in choice.reason


def test_a_smaller_one_that_is_worse_by_chance_only_is_the_one_to_use() -> None:
    by_chance = np.tile([1.02, -1.0], len(ERRORS) // 2)  # 0.01 on average, a fifth of its standard error
    choice = model_to_use(searched(), Errors(by_chance))
    assert choice is not None
    assert choice.name == "mf_tuned"
    assert f"{MODEL['dnn_tuned'].title} is better by less than one standard error" in choice.reason
    assert "900 parameters, not 100" in choice.reason


def test_where_every_trial_of_a_family_failed_it_is_the_other_s() -> None:
    one: dict[Family, Found] = {"mf": found("mf_tuned", "mf", 100, failed=True), "dnn": found("dnn_tuned", "dnn", 900)}
    choice = model_to_use(one, Errors(-0.1))
    assert choice is not None
    assert choice.name == "dnn_tuned"
    assert model_to_use({"mf": one["mf"]}, Errors(0.0)) is None


def test_a_noted_choice_reads_no_errors(tmp_path: Path) -> None:
    store, errors = Store(tmp_path), Errors(0.1)
    first = remembered_choice(store, searched(), errors)
    assert isinstance(first, Choice)
    assert errors.read == 2
    assert remembered_choice(store, searched(), errors) == first
    assert errors.read == 2
    remembered_choice(store, searched(dnn=901), errors)
    assert errors.read == 4


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"3", b'["dnn_tuned"]'])
def test_a_note_that_cannot_be_read_is_made_anew(content: bytes, tmp_path: Path) -> None:
    store, errors = Store(tmp_path), Errors(0.1)
    first = remembered_choice(store, searched(), errors)
    [note] = tmp_path.glob("notes/choice-*.json")
    note.write_bytes(content)
    assert remembered_choice(store, searched(), errors) == first
    assert errors.read == 4


def test_that_there_is_none_is_not_noted(tmp_path: Path) -> None:
    failed: dict[Family, Found] = {"mf": found("mf_tuned", "mf", 100, failed=True)}
    assert remembered_choice(Store(tmp_path), failed, Errors(0.0)) is None
    assert not list(tmp_path.glob("notes/*"))
