from collections.abc import Callable

import pandas as pd
import pytest

from recsys.evaluation.results import Comparison, Trial, Tuning
from recsys.report.searches import MIN_FOR_IMPORTANCE as ENOUGH
from recsys.report.section import Plot
from recsys.report.sections import tuning as section
from recsys.report.sections.tuning_plots import importance_caption, importances, upper_limit
from recsys.report.svg import style
from tests.made_searches import MF_START, dnn_search, mf_search, trial, tuning

Build = Callable[..., Comparison]


def drawn(with_mse: Build, *tunings: Tuning) -> dict[str, Plot]:
    comparison = with_mse(mf=0.8).model_copy(update={"tuning": list(tunings)})
    with style():
        return {plot.name: plot for plot in section.draw(comparison, pd.DataFrame())}


def test_setting_that_decides_comes_first_whatever_the_seed_of_the_forest() -> None:
    for seed in (1, 2):
        shares = importances(mf_search(ENOUGH + 10), seed)
        assert next(iter(shares)) == "l2_factors"
        assert sum(shares.values()) == pytest.approx(1)
        assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_same_seed_gives_the_same_importances() -> None:
    assert importances(dnn_search(), 5) == importances(dnn_search(), 5)


def test_one_diverged_trial_does_not_explain_everything() -> None:
    calm = mf_search(ENOUGH + 10)
    wild = [tried.model_copy(update={"val_mse": 1e9}) if tried.number == 1 else tried for tried in calm.trials]
    assert next(iter(importances(calm.model_copy(update={"trials": wild}), 1))) == "l2_factors"


@pytest.mark.parametrize(
    "trials",
    [
        [trial(n, 0.8 + n / 100, {**MF_START, "l2_factors": 0.1 + n / 100}) for n in range(ENOUGH - 1)],
        [trial(n, 0.8, {**MF_START, "l2_factors": 0.1 + n / 100}) for n in range(ENOUGH)],
        [trial(n, 0.8 + n / 100, MF_START) for n in range(ENOUGH)],
    ],
    ids=["too few", "equally good", "equal settings"],
)
def test_importances_that_cannot_be_told_are_not(trials: list[Trial]) -> None:
    assert importances(tuning("mf_tuned", trials), 1) == {}


def test_caption_names_the_settings_that_make_up_half() -> None:
    search = mf_search(30)
    for shares, named in (
        ({"a": 0.4, "b": 0.35, "c": 0.25}, "by a (40.0%) and b (35.0%)."),
        ({"a": 0.8, "b": 0.2}, "by a (80.0%)."),
        ({"a": 1.0}, "by all of its settings."),
    ):
        caption = importance_caption(search, shares)
        assert named in caption
        assert "28 finished trials" in caption


@pytest.mark.parametrize(
    ("errors", "always", "top"),
    [
        ([0.7, 0.71, 0.72], [], 0.72),
        ([0.7, 0.71, 0.72, 40.0], [], 0.745),
        ([0.7, 0.71, 0.72, 40.0], [0.9], 0.9),
        ([0.7], [], 0.7),
    ],
)
def test_only_what_is_far_off_is_above_the_picture(errors: list[float], always: list[float], top: float) -> None:
    assert upper_limit(errors, always) == pytest.approx(top)


def test_pictures_say_what_they_show(with_mse: Build) -> None:
    plots = drawn(with_mse, mf_search(), dnn_search())
    assert list(plots) == [
        *("search-history", "search-costs", "search-importance-mf-tuned", "search-importance-dnn-tuned"),
        "search-shape",
    ]
    history = plots["search-history"]
    assert "Hollow" in history.caption
    assert "Cross: failed." in history.caption
    assert "1 trial above" in history.caption
    assert "tuned MF over 24 trials, won by trial 9 with 0.7634" in history.alt
    assert "1 trial above" in plots["search-shape"].caption


def test_captions_do_not_explain_marks_that_are_not_there(with_mse: Build) -> None:
    calm = tuning("mf_tuned", [trial(0, 0.8, MF_START), trial(1, 0.79, MF_START)])
    plots = drawn(with_mse, calm)
    assert set(plots) == {"search-history", "search-costs"}
    for word in ("Hollow", "Cross", "upper edge"):
        assert word not in plots["search-history"].caption
    assert plots["search-costs"].caption.count("1 of tuned MF") == 1


@pytest.mark.parametrize(
    ("trials", "names"),
    [
        ([trial(0, None)], set()),
        ([trial(0, 0.8, seconds=0.0)], {"search-history", "search-costs"}),
        ([trial(0, 0.8, state="pruned"), trial(1, None)], {"search-history", "search-costs"}),
    ],
    ids=["all failed", "one", "none finished"],
)
def test_whatever_ran_is_drawn(with_mse: Build, trials: list[Trial], names: set[str]) -> None:
    assert set(drawn(with_mse, tuning("mf_tuned", trials))) == names
