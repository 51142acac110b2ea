from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from recsys.evaluation.results import Comparison, RankedLists, Ranking
from recsys.report.sections.ranking import against_baselines, best_by_both, decided_by_chance, lists, top_ten_findings
from recsys.report.sections.results import RANKING_COLUMNS, ranking_rows, table_csv, table_rows
from tests.made_reports import pages_of

Build = Callable[..., Comparison]


def with_ndcg(comparison: Comparison, error: float | None = 0.001, **ndcg: float) -> Comparison:
    """Give rows the NDCG@10 and its standard error that a test wants."""

    def ranked(rows: list[Any]) -> list[Any]:
        return [
            row.model_copy(
                update={
                    "ranking": row.ranking.model_copy(
                        update={"ndcg_at_10": ndcg.get(row.name, row.ranking.ndcg_at_10), "ndcg_at_10_error": error}
                    )
                }
            )
            for row in rows
        ]

    return comparison.model_copy(
        update={"models": ranked(comparison.models), "baselines": ranked(comparison.baselines)}
    )


def without_rankings(comparison: Comparison, facts: RankedLists | None) -> Comparison:
    def bare(rows: list[Any]) -> list[Any]:
        return [row.model_copy(update={"ranking": None}) for row in rows]

    return comparison.model_copy(
        update={"ranking": facts, "models": bare(comparison.models), "baselines": bare(comparison.baselines)}
    )


def with_tied(comparison: Comparison, **tied_users: int) -> Comparison:
    def tied(rows: list[Any]) -> list[Any]:
        return [
            row.model_copy(update={"ranking": row.ranking.model_copy(update={"tied_users": tied_users[row.name]})})
            if row.name in tied_users
            else row
            for row in rows
        ]

    return comparison.model_copy(update={"models": tied(comparison.models), "baselines": tied(comparison.baselines)})


@pytest.mark.parametrize(
    ("ndcg", "error", "said"),
    [
        (
            {"mf": 0.05, "dnn": 0.03},
            0.001,
            "MF has the lowest test error of the models, and the highest NDCG@10 as well (0.0500).",
        ),
        (
            {"mf": 0.03, "dnn": 0.05},
            0.001,
            "MF has the lowest test error of the models, but DNN has the highest NDCG@10, 0.0500 against 0.0300.",
        ),
        (
            {"mf": 0.03, "dnn": 0.05},
            0.01,
            "MF has the lowest test error of the models, but DNN has the highest NDCG@10, 0.0500 against 0.0300, "
            "a gap that chance may have made among 200 users.",
        ),
        (
            {"mf": 0.03, "dnn": 0.05},
            None,
            "MF has the lowest test error of the models, but DNN has the highest NDCG@10, 0.0500 against 0.0300, "
            "over a single user.",
        ),
        ({"mf": 0.0, "dnn": 0.0}, 0.0, "No model has a relevant item among the first 10 of any list."),
    ],
)
def test_best_by_error_is_or_is_not_the_best_by_ndcg(
    with_mse: Build, ndcg: dict[str, float], error: float | None, said: str
) -> None:
    assert best_by_both(with_ndcg(with_mse(mf=0.7, dnn=0.8), error, **ndcg)) == said


def test_the_same_lists_of_another_leader_by_error_say_the_opposite(with_mse: Build) -> None:
    ndcg = {"mf": 0.05, "dnn": 0.03}
    assert "MF has the lowest test error" in best_by_both(with_ndcg(with_mse(mf=0.7, dnn=0.8), **ndcg))
    assert best_by_both(with_ndcg(with_mse(mf=0.9, dnn=0.8), **ndcg)) == (
        "DNN has the lowest test error of the models, but MF has the highest NDCG@10, 0.0500 against 0.0300."
    )


def test_a_single_model_is_compared_with_no_other(with_mse: Build) -> None:
    assert best_by_both(with_mse(mf=0.7, bias_only=0.8)) == ""
    assert against_baselines(with_mse(mf=0.7)) == ""


@pytest.mark.parametrize(
    ("ndcg", "said"),
    [
        (0.09, "The baseline “bias only” has a higher NDCG@10 than any model, 0.0900 against 0.0500 of MF."),
        (
            0.01,
            "No baseline has an NDCG@10 as high as that of the best model: the baseline “bias only” comes next, "
            "0.0100 against 0.0500 of MF.",
        ),
        (0.05, "The baseline “bias only” has the same NDCG@10 as the best model, 0.0500."),
    ],
)
def test_best_baseline_is_above_or_below_the_best_model(with_mse: Build, ndcg: float, said: str) -> None:
    comparison = with_ndcg(with_mse(mf=0.7, dnn=0.6, bias_only=0.8), mf=0.05, dnn=0.03, bias_only=ndcg)
    assert against_baselines(comparison) == said


def test_rows_whose_first_ten_were_chosen_by_chance_are_named(with_mse: Build) -> None:
    comparison = with_tied(with_mse(mf=0.7, dnn=0.8, user_mean=0.9, global_mean=1.0), dnn=7, user_mean=200)
    start = (
        "Equal scores stand in an order drawn by the seed, the same for all lists: "
        "chance decided some of the first 10 places in "
    )
    assert decided_by_chance(comparison) == (
        f"{start}7 of 200 lists of DNN and all lists of user mean and global mean. "
        "A row of which that holds for all lists is not called the best here."
    )
    assert decided_by_chance(with_tied(with_mse(mf=0.7, dnn=0.8), dnn=7)) == f"{start}7 of 200 lists of DNN."
    assert decided_by_chance(with_mse(mf=0.7, bias_only=0.8)) == ""


def test_what_chance_has_chosen_is_never_the_best(with_mse: Build) -> None:
    comparison = with_ndcg(
        with_mse(mf=0.7, dnn=0.8, bias_only=0.8, user_mean=0.9), mf=0.03, dnn=0.05, bias_only=0.01, user_mean=0.09
    )
    by_scores, by_chance = (with_tied(comparison, **tied) for tied in ({"user_mean": 199}, {"user_mean": 200}))
    assert "“user mean” has a higher" in against_baselines(by_scores)
    assert against_baselines(by_chance) == (
        "No baseline whose scores choose its lists has an NDCG@10 as high as that of the best model: "
        "the baseline “bias only” comes next, 0.0100 against 0.0500 of DNN."
    )
    for changed, best in ((by_scores, "User mean"), (by_chance, "DNN")):
        marked = [row[0].text for row in ranking_rows(changed) if "ndcg_at_10" in [c.key for c in row if c.best]]
        assert marked == [best]
    highest = "the highest NDCG@10 of any whose scores choose its lists as well (0.0300)"
    assert highest in best_by_both(with_tied(comparison, dnn=200))
    assert best_by_both(with_tied(comparison, mf=200)) == (
        "MF has the lowest test error of the models, but equal scores leave the first 10 of all its lists to chance."
    )


def test_item_knn_is_told_to_be_unranked_where_it_was_scored_and_lists_were_ranked(with_mse: Build) -> None:
    comparison, said = with_mse(mf=0.7, bias_only=0.8, item_knn=0.75), "Item kNN was not ranked"
    assert comparison.ranking is not None
    assert [finding.text for finding in top_ten_findings(comparison)][1] == f"{said}, as that would take too long."
    assert [row[0].text for row in ranking_rows(comparison)] == ["MF", "Bias only"]
    nobody = without_rankings(comparison, comparison.ranking.model_copy(update={"users": 0, "eligible_users": 0}))
    others = (with_mse(mf=0.7, bias_only=0.8, skipped=("item_knn",)), without_rankings(comparison, None), nobody)
    assert not [finding for other in others for finding in top_ten_findings(other) if said in finding.text]


def test_an_unranked_baseline_is_not_said_to_be_below_a_model(with_mse: Build) -> None:
    assert against_baselines(with_mse(mf=0.7, item_mean=0.8)).startswith("No baseline has")
    assert against_baselines(with_mse(mf=0.7, item_mean=0.8, item_knn=0.75)).startswith("No ranked baseline has")


@pytest.mark.parametrize(
    ("changes", "protocol", "said"),
    [
        ({}, "fair", "Ranked: the lists of 200 of the 640 test users who have one, drawn by the seed; "
         "left out: 31 test users without one."),
        ({"eligible_users": 200, "users_without": 0}, "fair", "Ranked: the lists of all 200 test users who have one."),
        ({"users": 1, "eligible_users": 1, "users_without": 1}, "fair",
         "Ranked: the list of the only test user who has one; left out: 1 test user without one."),
        ({"users": 0, "eligible_users": 0}, "notebook",
         "No list was ranked: no test user has a test rating of at least 3.54 of an item outside of the user's own "
         "training ratings."),
    ],
)  # fmt: skip
def test_whose_lists_were_ranked_is_told(with_mse: Build, changes: dict[str, Any], protocol: str, said: str) -> None:
    comparison = with_mse(protocol, mf=0.7, dnn=0.8)
    assert comparison.ranking is not None
    assert lists(comparison, comparison.ranking.model_copy(update=changes)).endswith(said)


def test_lists_leave_out_what_the_protocol_trained_on(with_mse: Build) -> None:
    for protocol, own in (("fair", "training and validation ratings,"), ("notebook", "training ratings,")):
        said = top_ten_findings(with_mse(protocol, mf=0.7))[0].text
        assert said.startswith(f"A list holds all 8,227 items but those of the user's own {own}")


def test_table_marks_the_best_and_leaves_out_what_was_not_ranked(with_mse: Build) -> None:
    comparison = with_ndcg(with_mse(mf=0.7, dnn=0.8), mf=0.05, dnn=0.03)
    mf, dnn = ranking_rows(comparison)
    assert [cell.key for cell in mf] == [column.key for column in RANKING_COLUMNS]
    assert [cell.text for cell in mf[:3]] == ["MF", "0.0500", "0.0010"]
    assert "ndcg_at_10" in [cell.key for cell in mf if cell.best]
    assert "ndcg_at_10" not in [cell.key for cell in dnn if cell.best]
    unranked = comparison.model_copy(update={"models": [comparison.models[0].model_copy(update={"ranking": None})]})
    assert ranking_rows(unranked) == []


def test_csv_has_the_ranking_and_nothing_where_there_is_none(with_mse: Build) -> None:
    comparison = with_mse(mf=0.7)
    (row,) = table_rows(comparison)
    ranking = comparison.models[0].ranking
    assert isinstance(ranking, Ranking)
    assert {key: row[key] for key in Ranking.model_fields if key != "users"} == ranking.model_dump(exclude={"users"})
    assert row["ranked_users"] == 200
    assert "ranked_users,ndcg_at_10,ndcg_at_10_error,recall_at_10,mrr,coverage_at_10,tied_users" in table_csv(
        comparison
    )
    (bare,) = table_rows(without_rankings(comparison, None))
    assert list(bare) == list(row)
    assert bare["ranked_users"] is bare["mrr"] is None


def test_page_and_markdown_show_the_section_where_there_is_something_to_say(
    fair: tuple[Comparison, pd.DataFrame],
) -> None:
    comparison = fair[0]
    assert comparison.ranking is not None
    off = without_rankings(comparison, None)
    nobody = without_rankings(comparison, comparison.ranking.model_copy(update={"users": 0, "eligible_users": 0}))
    for ranked, shown in ((comparison, (True, True)), (nobody, (True, False)), (off, (False, False))):
        page, markdown = pages_of(ranked)
        assert ('<h2 id="ranking">' in page, ">NDCG@10</th>" in page) == shown
        assert ("## Ranking\n" in markdown, "| NDCG@10 |" in markdown) == shown
        assert ("Coverage@10</dt>" in page) == shown[1]
