from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from recsys.evaluation.results import Comparison, RankedLists, Ranking
from recsys.report.section import Cell
from recsys.report.sections.ranking import findings, section
from recsys.report.sections.results import ranking_columns, ranking_rows, table_csv, table_rows
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


def said(comparison: Comparison, topic: str) -> str:
    """The sentence on a topic, empty where there is none."""
    return next((finding.text for finding in findings(comparison) if finding.topic == topic), "")


def best_rows(comparison: Comparison) -> list[str]:
    """The rows that are marked for their NDCG@10."""
    return [row["title"].text for row in cells(comparison) if row["ndcg_at_10"].best]


def cells(comparison: Comparison) -> list[dict[str, Cell]]:
    """The shown rows, by the key of the column."""
    keys = [column.key for column in ranking_columns()]
    return [dict(zip(keys, row, strict=True)) for row in ranking_rows(comparison)]


MODEL, BASELINE, TIES = "best model by NDCG", "best baseline by NDCG", "equal scores"


@pytest.mark.parametrize(
    ("ndcg", "error", "parts"),
    [
        ({"mf": 0.05, "dnn": 0.03}, 0.001, ["MF has the lowest", "also the highest NDCG@10", "0.0500"]),
        ({"mf": 0.03, "dnn": 0.05}, 0.001, ["MF has the lowest", "but DNN has the highest", "0.0500 against 0.0300."]),
        (
            {"mf": 0.03, "dnn": 0.05},
            0.01,
            ["DNN has the highest", "0.0500 against 0.0300, ", "chance", "200 users"],
        ),
        ({"mf": 0.03, "dnn": 0.05}, None, ["but DNN has the highest", "0.0500 against 0.0300", "a single user"]),
        ({"mf": 0.0, "dnn": 0.0}, 0.0, ["No model has a relevant item among the first 10"]),
    ],
)
def test_best_by_error_is_or_is_not_the_best_by_ndcg(
    with_mse: Build, ndcg: dict[str, float], error: float | None, parts: list[str]
) -> None:
    text = said(with_ndcg(with_mse(mf=0.7, dnn=0.8), error, **ndcg), MODEL)
    assert all(part in text for part in parts), text


def test_the_same_lists_of_another_leader_by_error_say_the_opposite(with_mse: Build) -> None:
    ndcg = {"mf": 0.05, "dnn": 0.03}
    assert said(with_ndcg(with_mse(mf=0.7, dnn=0.8), **ndcg), MODEL).startswith("MF has the lowest test error")
    opposite = said(with_ndcg(with_mse(mf=0.9, dnn=0.8), **ndcg), MODEL)
    assert opposite.startswith("DNN has the lowest test error")
    assert "but MF has the highest NDCG@10: 0.0500 against 0.0300." in opposite


def test_a_single_model_is_compared_with_no_other(with_mse: Build) -> None:
    assert said(with_mse(mf=0.7, bias_only=0.8), MODEL) == ""
    assert said(with_mse(mf=0.7), BASELINE) == ""


@pytest.mark.parametrize(
    ("ndcg", "parts"),
    [
        (0.09, ["The baseline “bias only” has a higher NDCG@10", "0.0900 against 0.0500 of MF."]),
        (0.01, ["No baseline has", "the baseline “bias only”", "0.0100 against 0.0500 of MF."]),
        (0.05, ["The baseline “bias only” has the same NDCG@10", "0.0500."]),
    ],
)
def test_best_baseline_is_above_or_below_the_best_model(with_mse: Build, ndcg: float, parts: list[str]) -> None:
    comparison = with_ndcg(with_mse(mf=0.7, dnn=0.6, bias_only=0.8), mf=0.05, dnn=0.03, bias_only=ndcg)
    text = said(comparison, BASELINE)
    assert all(part in text for part in parts), text


def test_rows_whose_first_ten_were_chosen_by_chance_are_named(with_mse: Build) -> None:
    all_tied = with_tied(with_mse(mf=0.7, dnn=0.8, user_mean=0.9, global_mean=1.0), dnn=7, user_mean=200)
    assert "7 of 200 lists of DNN and all lists of user mean and global mean." in said(all_tied, TIES)
    assert "best" in said(all_tied, TIES)
    some_tied = with_tied(with_mse(mf=0.7, dnn=0.8), dnn=7)
    assert said(some_tied, TIES).endswith("7 of 200 lists of DNN.")
    assert said(with_mse(mf=0.7, bias_only=0.8), TIES) == ""


def test_what_chance_has_chosen_is_never_the_best(with_mse: Build) -> None:
    comparison = with_ndcg(
        with_mse(mf=0.7, dnn=0.8, bias_only=0.8, user_mean=0.9), mf=0.03, dnn=0.05, bias_only=0.01, user_mean=0.09
    )
    by_scores, by_chance = (with_tied(comparison, **tied) for tied in ({"user_mean": 199}, {"user_mean": 200}))
    assert "“user mean” has a higher" in said(by_scores, BASELINE)
    text = said(by_chance, BASELINE)
    assert text.startswith("No baseline of those not decided by equal scores has")
    assert "“bias only”: 0.0100 against 0.0500 of DNN." in text
    assert (best_rows(by_scores), best_rows(by_chance)) == (["User mean"], ["DNN"])
    text = said(with_tied(comparison, dnn=200), MODEL)
    assert "also the highest NDCG@10 of those not decided by equal scores (0.0300)" in text
    text = said(with_tied(comparison, mf=200), MODEL)
    assert text.startswith("MF has the lowest test error of the models, but equal scores")


def test_item_knn_is_told_to_be_unranked_where_it_was_scored_and_lists_were_ranked(with_mse: Build) -> None:
    comparison, topic = with_mse(mf=0.7, bias_only=0.8, item_knn=0.75), "not ranked"
    assert comparison.ranking is not None
    assert said(comparison, topic).startswith("Item kNN was not ranked")
    assert [row["title"].text for row in cells(comparison)] == ["MF", "Bias only"]
    nobody = without_rankings(comparison, comparison.ranking.model_copy(update={"users": 0, "eligible_users": 0}))
    others = (with_mse(mf=0.7, bias_only=0.8, skipped=("item_knn",)), without_rankings(comparison, None), nobody)
    assert not any(said(other, topic) for other in others)


def test_an_unranked_baseline_is_not_said_to_be_below_a_model(with_mse: Build) -> None:
    assert said(with_mse(mf=0.7, item_mean=0.8), BASELINE).startswith("No baseline has")
    assert said(with_mse(mf=0.7, item_mean=0.8, item_knn=0.75), BASELINE).startswith("No ranked baseline has")


@pytest.mark.parametrize(
    ("changes", "protocol", "parts"),
    [
        ({}, "fair", ["for 200 of the 640 test users", "drawn by the seed", "31 test users without"]),
        ({"eligible_users": 200, "users_without": 0}, "fair", ["for all 200 test users with a relevant item."]),
        ({"users": 1, "eligible_users": 1, "users_without": 1}, "fair", ["the only test user", "1 test user without"]),
        (
            {"users": 0, "eligible_users": 0},
            "notebook",
            ["No list was ranked", "least 3.54", "own training ratings"],
        ),
    ],
)
def test_whose_lists_were_ranked_is_told(
    with_mse: Build, changes: dict[str, Any], protocol: str, parts: list[str]
) -> None:
    comparison = with_mse(protocol, mf=0.7, dnn=0.8)
    assert comparison.ranking is not None
    changed = comparison.model_copy(update={"ranking": comparison.ranking.model_copy(update=changes)})
    text = said(changed, "ranked users")
    assert all(part in text for part in parts), text


def test_lists_leave_out_what_the_protocol_trained_on(with_mse: Build) -> None:
    for protocol, own in (("fair", "own training and validation ratings "), ("notebook", "own training ratings ")):
        text = said(with_mse(protocol, mf=0.7), "ranked users")
        assert "All 8,227 items" in text
        assert own in text


def test_table_marks_the_best_and_leaves_out_what_was_not_ranked(with_mse: Build) -> None:
    comparison = with_ndcg(with_mse(mf=0.7, dnn=0.8), mf=0.05, dnn=0.03)
    mf, _ = ranking_rows(comparison)
    assert [cell.text for cell in mf[:3]] == ["MF", "0.0500", "0.0010"]
    assert best_rows(comparison) == ["MF"]
    unranked = comparison.model_copy(update={"models": [comparison.models[0].model_copy(update={"ranking": None})]})
    assert ranking_rows(unranked) == []


def test_the_section_has_table_and_findings_where_there_is_something_to_say(with_mse: Build) -> None:
    comparison = with_mse(mf=0.7, dnn=0.8)
    assert comparison.ranking is not None
    found = section(comparison, [])
    assert found is not None
    assert (found.anchor, found.findings, len(found.tables)) == ("ranking", findings(comparison), 1)
    assert [heading.text for heading in found.tables[0].headings] == [
        *("Model", "NDCG@10", "± SE", "Recall@10", "MRR", "Coverage@10")
    ]
    nobody = without_rankings(comparison, comparison.ranking.model_copy(update={"users": 0, "eligible_users": 0}))
    unranked = section(nobody, [])
    assert unranked is not None
    assert (len(unranked.findings), unranked.tables) == (1, [])
    assert section(without_rankings(comparison, None), []) is None


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
        assert ("## Ranking" in markdown, "| NDCG@10 |" in markdown) == shown
        assert ("Coverage@10</dt>" in page) == shown[1]
