from collections.abc import Callable

from recsys.evaluation.results import Comparison
from recsys.report.sections.methodology import provenance
from recsys.report.sections.seeds import seed_findings, seed_rows, seeds_in_words, turned_by_seeds
from recsys.report.sections.splits import what_stays_open

Build = Callable[..., Comparison]


def test_table_gives_each_model_its_mean_and_spread(with_mse: Build, repeat: Build) -> None:
    comparison = repeat(with_mse(mf=0.8, dnn=0.9), mf=[0.79, 0.80, 0.81])
    assert seed_rows(comparison) == [
        ("MF", "3", "0.8000", "0.01000", "0.7900 to 0.8100"),
        ("DNN", "1", "0.9000", "–", "–"),
    ]


def test_one_training_of_each_has_no_table_and_no_sentence(with_mse: Build) -> None:
    comparison = with_mse(mf=0.8, dnn=0.9)
    assert seed_rows(comparison) == []
    assert seed_findings(comparison) == []
    assert seeds_in_words(comparison) == "1 seed"


def test_seeds_do_not_turn_a_gap_that_every_pair_of_them_has(with_mse: Build, repeat: Build) -> None:
    comparison = repeat(with_mse(mf=0.8, dnn=0.9), mf=[0.797, 0.803], dnn=[0.896, 0.904])
    said = turned_by_seeds(comparison)
    assert said.startswith("The gap of 0.1000 between MF and DNN is 14 times the standard deviation of that gap")
    assert said.endswith("MF has the lower error in each of the 4 pairs of seeds, so the seed does not decide.")


def test_seeds_that_overlap_could_have_turned_the_answer(with_mse: Build, repeat: Build) -> None:
    comparison = repeat(with_mse(mf=0.8, dnn=0.9), mf=[0.78, 0.82], dnn=[0.80, 0.86])
    said = turned_by_seeds(comparison)
    assert "in 1 of the 4 pairs of seeds, DNN has no higher error: one seed alone could decide" in said
    assert "does not decide" not in said


def test_seeds_without_any_spread_divide_by_nothing(with_mse: Build, repeat: Build) -> None:
    comparison = repeat(with_mse(mf=0.8, dnn=0.9), mf=[0.8, 0.8], dnn=[0.9, 0.9])
    assert turned_by_seeds(comparison).startswith("The gap of 0.1000 between MF and DNN does not depend on the seed")


def test_tuned_factorisation_and_best_network_are_the_two_that_count(with_mse: Build, repeat: Build) -> None:
    every = {"mf": [1.0, 1.2], "mf_tuned": [0.7, 0.72], "dnn": [0.9, 0.94], "dnn_tuned": [0.8, 0.82]}
    comparison = repeat(with_mse(mf=1.1, mf_tuned=0.7, dnn=0.9, dnn_tuned=0.8), **every)
    assert turned_by_seeds(comparison).startswith("The gap of 0.1000 between tuned MF and tuned DNN")
    assert "at most 0.14142, for MF" in seed_findings(comparison)[0].text


def test_what_stays_open_knows_seeds_and_splits(with_mse: Build, repeat: Build, split_also: Build) -> None:
    once = with_mse(mf=0.8, dnn=0.9)
    often = repeat(once, mf=[0.79, 0.81], dnn=[0.89, 0.91])
    random = split_also(often, "random", 43, mf=0.8, dnn=0.9)
    timely = split_also(random, "time", 42, mf=0.8, dnn=0.9)
    assert "Another seed or split changes every error a little." in what_stays_open(once)
    assert (
        "with 2 seeds, the first of them 42, on one random split (split seed 42), and on no other. Another split"
        in (what_stays_open(often))
    )
    assert "and again on 1 other split of the same ratings. What is held out at random says nothing" in (
        what_stays_open(random)
    )
    assert what_stays_open(timely).endswith("and again on 2 other splits of the same ratings.")


def test_every_seed_is_among_the_facts_of_the_run(with_mse: Build, repeat: Build) -> None:
    once = with_mse(mf=0.8, dnn=0.9)
    assert dict(provenance(once))["Seed of weights, dropout and shuffling"] == "42"
    often = repeat(once, mf=[0.79, 0.81], dnn=[0.89, 0.91])
    assert dict(provenance(often))["Seed of weights, dropout and shuffling"] == "42, 43"
