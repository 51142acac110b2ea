"""Each check fires on a comparison made for it, and none on a clean one."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import BadSettings
from recsys.evaluation.results import Comparison, FailedModel, RatingApart, Tied, Ties
from recsys.report.checks import CHECKS, require_known, unmuted, with_checks, with_muted
from recsys.report.manifest import read_comparison
from recsys.report.publish import publish_report
from recsys.report.sections.checks import checks_summary
from recsys.report.svg import PLOTS_INDEX
from recsys.store.run_history import PastRun
from tests.made_reports import pages_of
from tests.made_runs import past
from tests.made_searches import DNN_START, MF_START, trial, tuning
from tests.recsys.report.conftest import learning_curve, seeds_of, split_of

Change = Callable[[Comparison], Comparison]
Made = tuple[Comparison, Any]

ROWS = {"mf_tuned": 0.7, "dnn_tuned": 0.8, "bias_only": 0.9}
DRAWS = 60


def search(name: str, draws: int = DRAWS, **changes: Any) -> Any:
    """A search whose given settings, which are at no edge, won against so many drawn ones."""
    start = MF_START | {"embedding_size": 100} if name == "mf_tuned" else DNN_START
    return tuning(name, [trial(0, 0.7, start), *(trial(number, 0.8) for number in range(1, draws + 1))], **changes)


@pytest.fixture
def clean(with_mse: Callable[..., Comparison]) -> Comparison:
    """A comparison with nothing wrong: on other ratings than the sample, with long searches, five seeds, two splits."""
    comparison = with_mse(**ROWS)
    calm = learning_curve([0.9, 0.8, 0.75], [0.9, 0.81, 0.809])
    models = [
        model.model_copy(
            update={
                **seeds_of(*(ROWS[model.name] + change for change in (-0.002, -0.001, 0, 0.001, 0.002))),
                "history": calm,
                "scored_epoch": 3,
                "clipped_rows": 0,
                "parameters": 1_000_000,
            }
        )
        for model in comparison.models
    ]
    facts = {"source": "ratings.csv", "quarantined_rows": 0, "repeated_pairs": 0}
    return comparison.model_copy(
        update={
            "data": comparison.data.model_copy(update=facts),
            "models": models,
            "tuning": [search("mf_tuned"), search("dnn_tuned")],
            "other_splits": [split_of("random", 43, **ROWS)],
        }
    )


def run(day: int, mse: dict[str, float] = ROWS, **changes: Any) -> PastRun:
    """A run on the same ratings and test ratings as others."""
    return past(day, mse, **{"ratings": "a", "test": "a", **changes})


def changed(**changes: Any) -> Change:
    return lambda comparison: comparison.model_copy(update=changes)


def of_data(**changes: Any) -> Change:
    return lambda comparison: comparison.model_copy(update={"data": comparison.data.model_copy(update=changes)})


def of_model(name: str, **changes: Any) -> Change:
    return lambda comparison: comparison.model_copy(
        update={
            "models": [model.model_copy(update=changes) if model.name == name else model for model in comparison.models]
        }
    )


def searched(mf: Any, dnn: Any) -> Change:
    return changed(tuning=[mf, dnn])


def before(now: PastRun, *earlier: PastRun) -> Change:
    return changed(history=[*earlier, now])


def ties(test: tuple[int, int], validation: tuple[int, int]) -> Ties:
    """Of how many ratings or users the order in the file chose how many."""
    of_test, of_validation = (Tied(tied=tied, of=of) for tied, of in (test, validation))
    return Ties(test=of_test, validation=of_validation)


def by_time(split_by: str, found: Ties) -> Change:
    """Split so, with these ties."""
    return lambda comparison: of_data(ties=found)(comparison.model_copy(update={"split_by": split_by}))


FAILED = [trial(0, 0.7, DNN_START), *(trial(number, None) for number in range(1, DRAWS + 1))]
BARE = {"parameters": (702 + 8227) * 50, "settings": {"embedding_size": 50}}
RISING = {"history": learning_curve([0.9, 0.8, 0.5, 0.3], [0.8, 0.79, 0.9, 0.95]), "scored_epoch": 4}
FALLING = {"history": learning_curve([0.9, 0.8, 0.7], [0.95, 0.9, 0.8]), "scored_epoch": 3}

FIRING: list[tuple[str, Change, str]] = [
    ("no-answer", of_data(rating_sd=0.0), "nothing to predict"),
    ("selected-on-test", changed(protocol="notebook"), "20,000 test ratings"),
    ("test-small", of_data(test_rows=99), "Only 99"),
    ("budget-unequal", searched(search("mf_tuned"), search("dnn_tuned", DRAWS + 9)), "70 trials"),
    ("budget-unequal", searched(search("mf_tuned"), search("dnn_tuned", 0)), "not those of tuned DNN"),
    ("duplicates-kept", of_data(repeated_pairs=150, rows=15_000), "150 ratings of 15,000 (1.0%)"),
    ("pairs-in-two-parts", of_data(repeated_pairs=1, repeated_test_rows=1), "1 of 20,000 test ratings (0.0050%) is"),
    (
        "pairs-in-two-parts",
        of_data(repeated_pairs=9, repeated_validation_rows=8, validation_rows=400),
        "8 of 400 validation ratings (2.0%) are of a pair",
    ),
    (
        "equal-times",
        by_time("time", ties((201, 20_000), (20, 2000))),
        "201 of 20,000 test ratings (1.0%) were held out",
    ),
    ("not-searched", changed(tuning=[]), "not tuned at all"),
    ("search-short", searched(search("mf_tuned", 4), search("dnn_tuned", 4)), "4 draws of tuned MF"),
    ("search-cut", searched(search("mf_tuned", trials_allowed=90), search("dnn_tuned", trials_allowed=90)), "61 of"),
    ("search-failed", searched(search("mf_tuned"), tuning("dnn_tuned", FAILED)), "its loss became NaN"),
    (
        "optimum-at-edge",
        searched(
            tuning("mf_tuned", [trial(0, 0.7, MF_START | {"embedding_size": 200}), trial(1, 0.8)]), search("dnn_tuned")
        ),
        "embedding size 200, at the upper end",
    ),
    ("bare-factorisation", of_model("mf_tuned", **BARE), "446,450 parameters"),
    ("model-failed", changed(failed=[FailedModel(name="mf", title="MF", reason="NaN")]), "MF has no score"),
    ("one-seed", of_model("dnn_tuned", **seeds_of(0.8)), "tuned DNN was"),
    ("seeds-disagree", of_model("dnn_tuned", **seeds_of(0.69, 0.8, 0.9)), "of the 15 pairs"),
    ("split-flips", changed(other_splits=[split_of("random", 43, mf_tuned=0.8, dnn_tuned=0.7)]), "reversed"),
    ("baseline-not-beaten", lambda made: made.model_copy(update={"baselines": [worse(made)]}), "MSE 0.6000"),
    ("overfitting", of_model("dnn_tuned", **RISING), "Tuned DNN overfits from epoch 3"),
    ("still-learning", of_model("dnn_tuned", **FALLING), "still falling"),
    ("clipped-often", of_model("mf_tuned", clipped_rows=10_001), "tuned MF"),
    ("cold-share-high", of_data(cold_test_rows=4_001), "4,001 test ratings of 20,000"),
    ("data-small", of_data(train_rows=702 + 8226), "8,928 training ratings"),
    ("validation-small", of_data(validation_rows=99), "99 validation ratings"),
    (
        "test-read-before",
        before(run(2, settings={"seed": 3}), run(0), run(1, settings={"seed": 1})),
        "2 other choices",
    ),
    ("data-drift", before(run(9, ratings="b", rows=300_000), run(0)), "300,000 ratings"),
    ("error-drift", before(run(9, ROWS | {"mf_tuned": 0.9}), run(0)), "0.9000, up from 0.7000"),
    ("one-split", changed(other_splits=[]), "one random split"),
    ("head-start", of_data(source="the embedded sample (MovieLens small 2016)"), "tuned MF and tuned DNN"),
    ("rows-set-aside", of_data(quarantined_rows=12), "12 rows"),
    (
        "rating-apart",
        of_data(apart=RatingApart(value=-1, rows=90, low=1, high=10)),
        "−1 stands apart from the others, 1 to 10: 90 ratings",
    ),
    (
        "times-unreadable",
        of_data(unreadable_timestamps=3, unreadable_time="soon"),
        "3 times are missing or cannot be read, such as 'soon'",
    ),
    ("left-out", changed(skipped=[FailedModel(name="towers", title="Two towers", reason="no room")]), "no room"),
    ("trials-failed", searched(search("mf_tuned"), tuning("dnn_tuned", FAILED)), "60 of the 61 trials"),
]


def worse(comparison: Comparison) -> Any:
    """A baseline that no model beats."""
    return comparison.baselines[0].model_copy(update={"mse": 0.6})


def fired(comparison: Comparison) -> dict[str, str]:
    return {check.name: check.measured for check in with_checks(comparison).checks or []}


def test_nothing_fires_on_a_clean_comparison(clean: Comparison) -> None:
    assert fired(clean) == {}


@pytest.mark.parametrize(("name", "change", "measured"), FIRING, ids=[name for name, *_ in FIRING])
def test_a_check_fires_with_the_numbers_that_it_measured(
    name: str, change: Change, measured: str, clean: Comparison
) -> None:
    assert measured in fired(change(clean))[name]


def test_a_check_fires_where_another_model_was_chosen_than_before(clean: Comparison) -> None:
    def chose(day: int, name: str) -> PastRun:
        made = run(day, {name: 0.7})
        return made.model_copy(update={"scores": (made.scores[0].model_copy(update={"chosen": True}),)})

    runs = before(chose(1, "bayes_mf"), chose(0, "mf_tuned"))
    assert "Bayesian MF" in fired(runs(clean))["model-changed"]


def test_every_check_is_tested() -> None:
    assert {check.name for check in CHECKS} == {name for name, *_ in FIRING} | {"model-changed"}


def test_kept_repeats_are_said_to_be_in_one_part_where_they_are(clean: Comparison) -> None:
    alone = clean.model_copy(update={"other_splits": []})
    kept = of_data(repeated_pairs=20, rows=100_000, validation_rows=8_000)(alone)
    assert fired(kept)["duplicates-kept"] == (
        "20 ratings of 100,000 (0.020%) repeat an earlier pair of user and item, and all count. Every pair is in one "
        "part of the split: none of the 20,000 test ratings is of the same pair as a rating that a model is fitted to, "
        "and none of the 8,000 validation ratings as a training rating."
    )
    assert "pairs-in-two-parts" not in fired(kept)
    assert "duplicates-kept" not in fired(of_data(duplicates="last")(kept))
    leaking = of_data(repeated_test_rows=3)(kept)
    assert fired(leaking)["duplicates-kept"].endswith("and all count.")
    uncounted = of_data(repeated_test_rows=None, repeated_validation_rows=None)(kept)
    assert fired(uncounted)["duplicates-kept"].endswith("and all count.")


@pytest.mark.parametrize(("known", "said"), [(0, "; so it is under 1 other split."), (None, "and all count.")])
def test_pairs_under_other_splits_are_told_as_well(clean: Comparison, known: int | None, said: str) -> None:
    [split] = clean.other_splits
    other = split.model_copy(update={"repeated_test_rows": known, "repeated_validation_rows": known})
    kept = of_data(repeated_pairs=20)(clean).model_copy(update={"other_splits": [other]})
    assert fired(kept)["duplicates-kept"].endswith(said)
    leaking = kept.model_copy(update={"other_splits": [other.model_copy(update={"repeated_test_rows": 500})]})
    assert fired(leaking)["pairs-in-two-parts"].startswith(
        "500 of 20,000 test ratings (2.5%) under the random split (seed 43) are of a pair"
    )


@pytest.mark.parametrize(
    ("split_by", "found", "said"),
    [
        ("time", ties((20_000, 20_000), (0, 800)), "20,000 of 20,000 test ratings (100.0%) were held out by their"),
        (
            "time",
            ties((300, 20_000), (400, 8_000)),
            "300 of 20,000 test ratings (1.5%) and 400 of 8,000 validation ratings (5.0%) were held out by their order "
            "in the file: ratings that were not held out have the same time.",
        ),
        ("user-last", ties((7, 100), (0, 100)), "The test ratings of 7 of 100 users (7.0%) were held out by their"),
        ("leave-one-out", ties((0, 100), (2, 100)), "The validation ratings of 2 of 100 users (2.0%) were held out"),
    ],
)
def test_what_the_order_in_the_file_decided_is_told(split_by: str, found: Ties, said: str, clean: Comparison) -> None:
    assert fired(by_time(split_by, found)(clean))["equal-times"].startswith(said)


def test_a_tie_or_two_at_a_cut_is_no_caution(clean: Comparison) -> None:
    assert "equal-times" not in fired(by_time("time", ties((200, 20_000), (80, 8_000)))(clean))


def test_equal_times_under_another_split_are_told(clean: Comparison) -> None:
    other = split_of("time", 42, **ROWS).model_copy(update={"ties": ties((900, 1000), (0, 100))})
    assert fired(clean.model_copy(update={"other_splits": [other]}))["equal-times"].startswith(
        "900 of 1,000 test ratings (90.0%) were held out under the cut in time by their order in the file"
    )


def test_the_same_settings_on_the_same_test_ratings_are_no_second_reading(clean: Comparison) -> None:
    assert "test-read-before" not in fired(before(run(1), run(0))(clean))
    assert "test-read-before" not in fired(before(run(1), run(0, test="b", settings={"seed": 3}))(clean))


def test_given_settings_at_an_edge_are_no_optimum(clean: Comparison) -> None:
    given = tuning("mf_tuned", [trial(0, 0.7, MF_START | {"embedding_size": 200})])
    assert "optimum-at-edge" not in fired(searched(given, search("dnn_tuned", 0))(clean))


def test_seeds_that_disagree_in_a_tie_are_no_caution(clean: Comparison) -> None:
    tied = of_model("dnn_tuned", **seeds_of(0.69, 0.7, 0.711))(clean)
    assert "seeds-disagree" not in fired(tied)


def test_numbers_are_in_order_and_names_are_of_one_kind() -> None:
    assert [check.id for check in CHECKS] == [f"C{number:02}" for number in range(1, len(CHECKS) + 1)]
    names = [check.name for check in CHECKS]
    assert len({*names}) == len(names) >= 16
    assert all(name.replace("-", "").isalpha() and name.islower() for name in names)


def test_a_whole_comparison_and_one_without_models_are_checked(
    whole: Made, with_mse: Callable[..., Comparison]
) -> None:
    assert with_checks(whole[0]).checks
    assert "no-answer" in fired(with_mse())
    assert "every model failed" in fired(with_mse(failed=("mf", "dnn")))["no-answer"]


def test_muted_checks_stay_in_the_comparison_and_the_report_says_so(clean: Comparison) -> None:
    comparison = with_checks(of_data(test_rows=99, quarantined_rows=12)(clean))
    muted = with_muted(comparison, ["C03", "rows-set-aside"])
    assert [check.muted for check in muted.checks or []] == [True, True]
    assert unmuted(comparison, "error")
    assert not unmuted(muted, "error")
    assert [check.muted for check in with_muted(muted, []).checks or []] == [False, False]
    page, markdown = pages_of(muted)
    for text in (page, markdown.replace("\\", "")):
        assert "Muted, and not counted: C03 few test ratings (error) and C29 invalid rows set aside (note)" in text
    assert "12 rows were set aside" in pages_of(comparison)[0]
    assert "12 rows were set aside" not in page


@pytest.mark.parametrize(("name", "near"), [("C99", "C09"), ("overfit", "overfitting"), ("c07", "C07"), ("xyz", "C01")])
def test_an_unknown_check_is_refused_with_the_near_ones(name: str, near: str) -> None:
    require_known(["C01", "overfitting"])
    with pytest.raises(BadSettings, match=f"'{name}' is no check.*{near}"):
        require_known([name])


def test_muting_is_for_publishing_and_leaves_what_was_made_alone(clean: Comparison, tmp_path: Path) -> None:
    comparison = with_checks(of_data(test_rows=99)(clean))
    made = {name: tmp_path / name for name in ("comparison.json", PLOTS_INDEX)}
    made["comparison.json"].write_text(comparison.model_dump_json())
    made[PLOTS_INDEX].write_text("[]")
    folder = publish_report(made, tmp_path / "reports", "muted", muted=("test-small",))
    assert read_comparison(folder) == with_muted(comparison, ["C03"])
    assert "Muted, and not counted: C03" in (folder / "report.md").read_text()
    assert read_comparison(publish_report(made, tmp_path / "reports", "plain")) == comparison


def test_the_summary_counts_names_and_mutes(clean: Comparison) -> None:
    assert checks_summary(clean) == ""
    assert checks_summary(with_checks(clean)) == "Checks: 0 errors, 0 warnings and 0 notes."
    comparison = with_checks(of_data(test_rows=99, quarantined_rows=12, validation_rows=5)(clean))
    assert (
        checks_summary(with_muted(comparison, ["C22"]))
        == "Checks: 1 error, 0 warnings and 1 note (C03 few test ratings); muted: C22."
    )


def test_the_section_has_a_line_for_each_that_fired_and_names_the_others(clean: Comparison) -> None:
    assert "What was measured" not in pages_of(clean)[1]
    markdown = pages_of(with_checks(of_data(test_rows=99)(clean)))[1]
    assert re.search(r"\| C03 \| Few test ratings .*test-small.* \| error \| Only 99 ratings were tested on", markdown)
    assert f"{len(CHECKS) - 1} of the {len(CHECKS)} checks found nothing" in markdown
    assert "**C04 budget-unequal**: Unequal search budgets" in markdown


def test_a_comparison_from_before_there_were_checks_can_be_read(clean: Comparison, tmp_path: Path) -> None:
    document = clean.model_dump(exclude={"checks"})
    assert Comparison.model_validate(document).checks is None
    assert with_muted(Comparison.model_validate(document), ["C01"]).checks is None
