from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.inputs import Fitted, Ratings, TrainedModel
from recsys.evaluation.ranking import lists_to_rank, rank
from recsys.evaluation.results import Comparison
from recsys.models import item_knn
from recsys.models.baselines import fit_baselines
from recsys.models.mf import build_mf
from recsys.models.serialization import load_model, save_model
from recsys.models.specs import Family
from recsys.seeding import derive_seed
from recsys.settings import EvidenceSettings, MFSettings, Protocol, RankingSettings, SplitSettings
from tests.factories import TablePredictor

USERS, ITEMS, ROWS = 8, 9, 200
FACTS: dict[str, Any] = {
    "loss": [2.0, 1.0],
    "val_loss": [2.0, 2.5],
    "best_epoch": 1,
    "scored_epoch": 2,
    "stopped_early": False,
    "started": "2026-05-04T03:02:01+00:00",
    "ended": "2026-05-04T03:02:02.500000+00:00",
    "seconds": 1.5,
    "engine": "keras",
    "device": "CPU",
    "settings": {"epochs": 2},
    "parameters": 68,
    "summary": "…",
}
RANKING = RankingSettings()
NOTHING_SEARCHED: Mapping[Family, str] = {}
DATA: dict[str, Any] = {
    "source": "a file",
    "licence": None,
    "quarantined_rows": 0,
    "repeated_pairs": 0,
    "duplicates": "keep",
    "ignored_columns": [],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluated")


@pytest.fixture(scope="module")
def ratings(folder: Path) -> Ratings:
    """Ratings whose last user and last item stand in test rows only."""
    random = np.random.default_rng(0)
    user, item = random.integers(USERS - 1, size=ROWS).astype(np.int32), random.integers(ITEMS - 1, size=ROWS)
    user[190:195], item[195:] = USERS - 1, ITEMS - 1
    rating = random.integers(1, 6, size=ROWS).astype(np.float32)
    pq.write_table(pa.table({"code": range(USERS), "id": [f"u{code}" for code in range(USERS)]}), folder / "users")
    pq.write_table(pa.table({"code": range(ITEMS), "id": range(100, 100 + ITEMS)}), folder / "items")
    rows = np.arange(ROWS)
    return Ratings(
        user,
        item.astype(np.int32),
        rating,
        train=rows[:130],
        validation=rows[130:150],
        test=rows[150:],
        users=folder / "users",
        items=folder / "items",
    )


@pytest.fixture(scope="module")
def trained(folder: Path) -> dict[str, TrainedModel]:
    model = build_mf(USERS, ITEMS, MFSettings(embedding_size=4), seed=1)
    model.set_weights([weights * 80 for weights in model.get_weights()])  # far outside the scale
    save_model(model, folder / "model.keras")
    return {"mf": TrainedModel([Fitted(1, folder / "model.keras", FACTS)])}


def compared(
    ratings: Ratings,
    trained: dict[str, TrainedModel],
    protocol: Protocol = "fair",
    evidence: EvidenceSettings | None = None,
    ranking: RankingSettings = RANKING,
    winners: Mapping[Family, str] = NOTHING_SEARCHED,
) -> tuple[Comparison, pd.DataFrame]:
    return evaluate(
        ratings,
        trained,
        {"dnn": "it broke"},
        protocol=protocol,
        seed=1,
        split=SplitSettings(),
        evidence=evidence or EvidenceSettings(resamples=100),
        ranking=ranking,
        data=DATA,
        winners=winners,
    )


Compared = tuple[Comparison, pd.DataFrame]


@pytest.fixture(scope="module")
def fair(ratings: Ratings, trained: dict[str, TrainedModel]) -> Compared:
    return compared(ratings, trained)


@pytest.fixture(scope="module")
def notebook(ratings: Ratings, trained: dict[str, TrainedModel]) -> Compared:
    return compared(ratings, trained, "notebook")


def with_test_ratings(ratings: Ratings, value: float) -> Ratings:
    changed = ratings.rating.copy()
    changed[ratings.test] = value
    return replace(ratings, rating=changed)


def test_scores_are_those_of_the_predictions(ratings: Ratings, fair: Compared) -> None:
    comparison, predictions = fair
    for row in [*comparison.models, *comparison.baselines]:
        error = predictions[row.name].astype(float) - predictions["rating"].astype(float)
        assert row.mse == pytest.approx((error**2).mean())
        assert row.mae == pytest.approx(error.abs().mean())
        by_user = (error**2).groupby(predictions["user"]).mean() ** 0.5
        assert row.user_rmse == pytest.approx(by_user.mean())
    assert predictions["user"].iloc[0] == f"u{ratings.user[150]}"
    assert predictions["item"].iloc[0] == 100 + ratings.item[150]
    baselines = ["global_mean", "user_mean", "item_mean", "bias_only", "popularity_slope", "item_knn"]
    assert [row.name for row in comparison.baselines] == baselines


def test_fair_predictions_stay_on_the_scale_and_notebook_ones_do_not(fair: Compared, notebook: Compared) -> None:
    assert fair[0].clipped_to == (1.0, 5.0)
    assert notebook[0].clipped_to is None
    assert notebook[1]["mf"].abs().max() > 5


def test_cold_rows_are_counted_scored_apart_and_answered_by_the_biases(fair: Compared, notebook: Compared) -> None:
    comparison, frame = fair
    cold = frame[frame["cold"]]
    assert len(cold) == comparison.data.cold_test_rows == 10
    assert (cold["mf"] == cold["bias_only"]).all()
    assert (cold["item_knn"] == cold["bias_only"]).all()
    assert not (frame["item_knn"] == frame["bias_only"])[~frame["cold"]].all()
    assert comparison.models[0].cold is not None
    assert comparison.models[0].cold.rows == 10
    assert comparison.models[0].warm is not None
    assert comparison.models[0].warm.rows == 40
    _, frame = notebook
    assert not (frame["mf"] == frame["bias_only"])[frame["cold"]].any()


def test_a_failed_model_is_named_with_its_reason(fair: Compared) -> None:
    assert [(failed.name, failed.reason) for failed in fair[0].failed] == [("dnn", "it broke")]


def test_neighbours_are_skipped_with_a_reason_where_the_ratings_are_too_many(
    ratings: Ratings, trained: dict[str, TrainedModel], fair: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fair[0].skipped == []
    monkeypatch.setattr(item_knn, "MOST_STEPS", 100)
    comparison, predictions = compared(ratings, trained)
    (skipped,) = comparison.skipped
    assert (skipped.name, skipped.title) == ("item_knn", "item kNN")
    assert "comparing 9 items" in skipped.reason
    assert "item_knn" not in [*predictions.columns, *(row.name for row in comparison.baselines)]


def test_neighbours_choose_without_the_choosing_ratings_and_keep_all(
    ratings: Ratings, trained: dict[str, TrainedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def watched(train: Any, validation: Any, biases: Any) -> Any:
        sizes.append((len(train[0]), len(validation[0])))
        return item_knn.fit_item_knn(train, validation, biases)

    monkeypatch.setattr("recsys.evaluation.baselines.fit_item_knn", watched)
    notebook, fair = compared(ratings, trained, "notebook")[0], compared(ratings, trained)[0]
    assert sizes == [(117, 13), (130, 20)]
    for comparison, fitted in ((notebook, 130), (fair, 150)):
        pairs = len(set(zip(ratings.user[:fitted].tolist(), ratings.item[:fitted].tolist(), strict=True)))
        assert {row.name: row.parameters for row in comparison.baselines}["item_knn"] == pairs


def test_test_ratings_change_nothing_but_the_scores(
    ratings: Ratings, trained: dict[str, TrainedModel], fair: Compared
) -> None:
    _, before = fair
    _, after = compared(with_test_ratings(ratings, 1000.0), trained)
    names = ["mf", "global_mean", "user_mean", "item_mean", "bias_only", "popularity_slope", "item_knn"]
    assert before[names].equals(after[names])
    assert not before["rating"].equals(after["rating"])


def test_the_errors_of_several_seeds_are_averaged_and_their_spread_is_told(
    ratings: Ratings, trained: dict[str, TrainedModel], fair: Compared, tmp_path: Path
) -> None:
    (first,) = trained["mf"].fits
    save_model(build_mf(USERS, ITEMS, MFSettings(embedding_size=4), seed=2), tmp_path / "second.keras")
    second = Fitted(2, tmp_path / "second.keras", FACTS)
    (of_first,) = fair[0].models
    (of_second,), (of_both,) = (
        compared(ratings, {"mf": TrainedModel(fits)})[0].models for fits in ([second], [first, second])
    )
    assert of_first.spread is None
    assert [(one.seed, one.mse) for one in of_both.seeds] == [(1, of_first.mse), (2, of_second.mse)]
    assert of_both.mse == pytest.approx((of_first.mse + of_second.mse) / 2)
    warm = [row.warm.mse for row in (of_first, of_second, of_both) if row.warm]
    assert warm[2] == pytest.approx((warm[0] + warm[1]) / 2)
    assert of_both.spread is not None
    assert of_both.spread.sd == pytest.approx(abs(of_first.mse - of_second.mse) / 2**0.5)
    assert of_both.spread.low < of_both.mse < of_both.spread.high


def test_where_another_fit_chose_the_epochs_its_course_is_shown_and_the_refits_are_scored(
    ratings: Ratings, trained: dict[str, TrainedModel], fair: Compared
) -> None:
    chosen = FACTS | {"loss": [3.0] * 5, "val_loss": [5.0, 4.0, 3.0, 4.0, 5.0], "best_epoch": 3, "scored_epoch": 3}
    refitted = {"mf": replace(trained["mf"], chosen=chosen)}
    comparison, predictions = compared(ratings, refitted)
    (row,) = comparison.models
    assert (row.refitted_rows, row.epochs, row.best_epoch, row.scored_epoch) == (150, 5, 3, 3)
    assert row.history.val_loss == chosen["val_loss"]
    assert predictions["mf"].equals(fair[1]["mf"])


@pytest.fixture(scope="module")
def tuned(ratings: Ratings, folder: Path) -> dict[str, TrainedModel]:
    """Two tuned models of two seeds each, with the validation predictions of who chose."""
    random, models = np.random.default_rng(3), {}
    for name in ("mf_tuned", "dnn_tuned"):
        fits = []
        for seed in (1, 2):
            path = folder / f"{name}{seed}.keras"
            save_model(build_mf(USERS, ITEMS, MFSettings(embedding_size=4), seed=10 * seed + len(name)), path)
            fits.append(Fitted(seed, path, FACTS))
        guess = ratings.rating[ratings.validation] + random.normal(size=len(ratings.validation))
        np.save(folder / f"{name}.npy", guess.astype(np.float32))
        models[name] = TrainedModel(fits, FACTS, folder / f"{name}.npy")
    return models


@pytest.fixture(scope="module")
def of_tuned(ratings: Ratings, tuned: dict[str, TrainedModel]) -> Compared:
    return compared(ratings, tuned)


def test_the_mean_of_seeds_and_a_blend_are_rows_of_their_own_with_their_members_costs(
    ratings: Ratings, tuned: dict[str, TrainedModel], of_tuned: Compared
) -> None:
    comparison, predictions = of_tuned
    rows = {row.name: row for row in comparison.combinations}
    assert set(rows) == {"mf_tuned_mean", "dnn_tuned_mean", "blend"}
    for row in comparison.combinations:
        error = predictions[row.name].astype(float) - predictions["rating"].astype(float)
        assert row.mse == pytest.approx((error**2).mean(), rel=1e-5)
    assert rows["mf_tuned_mean"].fit_seconds == 2 * FACTS["seconds"]
    assert rows["mf_tuned_mean"].parameters == 2 * FACTS["parameters"]
    assert {"mf_tuned", "dnn_tuned"} <= set(rows["blend"].members)
    assert not compared(ratings, tuned, "notebook")[0].combinations
    assert not compared(ratings, tuned, evidence=EvidenceSettings(resamples=100, combine=False))[0].combinations


def test_test_ratings_have_no_say_in_the_blend(
    ratings: Ratings, tuned: dict[str, TrainedModel], of_tuned: Compared
) -> None:
    before, _ = of_tuned
    after, _ = compared(with_test_ratings(ratings, 3.0), tuned)
    assert [row.weights for row in before.combinations] == [row.weights for row in after.combinations]
    assert before.combinations[-1].mse != after.combinations[-1].mse


def test_many_distinct_ratings_are_counted_in_bins(ratings: Ratings, trained: dict[str, TrainedModel]) -> None:
    many = np.random.default_rng(1).normal(size=ROWS).astype(np.float32)
    comparison, _ = compared(replace(ratings, rating=many), trained)
    assert sum(count.rows for count in comparison.data.histogram) == ROWS
    assert all(count.upper is not None and count.upper > count.rating for count in comparison.data.histogram)


def test_predictions_that_had_to_be_clipped_are_counted(fair: Compared, notebook: Compared) -> None:
    comparison, predictions = notebook
    warm = predictions["mf"][~predictions["cold"]]
    assert fair[0].models[0].clipped_rows == ((warm < 1) | (warm > 5)).sum() > 0
    assert comparison.models[0].clipped_rows == 0


def test_each_model_is_compared_with_every_other_and_with_the_biases(
    ratings: Ratings, trained: dict[str, TrainedModel]
) -> None:
    three = dict.fromkeys(("mf", "dnn", "dnn_tuned"), trained["mf"])
    comparison, frame = compared(ratings, three)
    assert {(found.name, found.other) for found in comparison.differences} == {
        *[("dnn", "mf"), ("dnn_tuned", "mf"), ("dnn_tuned", "dnn")],
        *[("mf", "bias_only"), ("dnn", "bias_only"), ("dnn_tuned", "bias_only")],
    }
    mse = {row.name: row.mse for row in [*comparison.models, *comparison.baselines]}
    for found in comparison.differences:
        assert found.mse_difference == pytest.approx(mse[found.name] - mse[found.other], abs=1e-9)
    assert compared(ratings, three)[0].differences == comparison.differences
    assert len(frame) == 50


def test_evidence_follows_its_settings(ratings: Ratings, trained: dict[str, TrainedModel], fair: Compared) -> None:
    plain, _ = fair
    lenient, _ = compared(ratings, trained, evidence=EvidenceSettings(min_effect=1e6, resamples=200))
    assert plain.differences[0].verdict == "worse"
    assert lenient.differences[0].verdict == "too small"
    assert (lenient.min_effect, lenient.resamples) == (1e6, 200)
    assert lenient.differences[0].p != plain.differences[0].p


@pytest.mark.parametrize("protocol", ["fair", "notebook"])
def test_lists_are_those_of_unclipped_predictions_and_of_the_cold_rule(
    ratings: Ratings, trained: dict[str, TrainedModel], protocol: Protocol
) -> None:
    rows = {name: getattr(ratings, name) for name in ("train", "validation", "test")}
    if protocol == "notebook":
        rows["train"], rows["validation"] = np.arange(150), rows["test"]
        ratings = replace(ratings, train=rows["train"], validation=rows["validation"])
    settings = RankingSettings(ranking_users=3, ranking_threshold=2)
    comparison, _ = compared(ratings, trained, protocol, ranking=settings)

    part = {name: (ratings.user[kept], ratings.item[kept], ratings.rating[kept]) for name, kept in rows.items()}
    model = load_model(trained["mf"].fits[0].path)
    user, item = np.divmod(np.arange(USERS * ITEMS, dtype=np.int32), np.int32(ITEMS))
    table = np.asarray(model.predict_on_batch([user[:, None], item[:, None]])).reshape(USERS, ITEMS)
    answers = {"own": table, "ruled": table.copy()}
    known: Any = part["train"]
    if protocol == "fair":
        known = tuple(np.concatenate(columns) for columns in zip(part["train"], part["validation"], strict=True))
    bias_only = fit_baselines(known, part["validation"], USERS, ITEMS, part["train"])["bias_only"]
    cold = (user == USERS - 1) | (item == ITEMS - 1)
    answers["ruled"][cold.reshape(USERS, ITEMS)] = bias_only.predict(user[cold], item[cold])
    seed = derive_seed(1, "ranking")
    lists = lists_to_rank(known, part["test"], USERS, ITEMS, threshold=2, most=3, seed=seed)
    rankings = {name: rank(lists, TablePredictor(scores)) for name, scores in answers.items()}
    assert rankings["own"] != rankings["ruled"]
    assert comparison.models[0].ranking == rankings["ruled" if protocol == "fair" else "own"]
    assert comparison.ranking == lists.facts
    assert lists.facts.users == 3 < lists.facts.eligible_users


def test_ranking_can_be_turned_off(ratings: Ratings, trained: dict[str, TrainedModel], fair: Compared) -> None:
    off, _ = compared(ratings, trained, ranking=RankingSettings(ranking_users=0))
    on, _ = fair
    assert off.ranking is None
    assert not [row for row in [*off.models, *off.baselines] if row.ranking]
    unranked = [row.name for row in [*on.models, *on.baselines] if row.ranking is None]
    assert unranked == ["item_knn"]


def test_the_winner_of_a_search_is_the_chosen_one_of_the_searched_models_of_its_family(
    ratings: Ratings, trained: dict[str, TrainedModel]
) -> None:
    models = dict.fromkeys(("mf", "mf_tuned", "dnn_tuned"), trained["mf"])
    comparison, _ = compared(ratings, models, winners={"mf": "mf_tuned"})
    assert {row.name: row.chosen for row in comparison.models} == {"mf": None, "mf_tuned": True, "dnn_tuned": None}
    comparison, _ = compared(ratings, models, winners={"mf": "bayes_mf"})
    assert [row.chosen for row in comparison.models] == [None, False, None]
