from pathlib import Path
from typing import Any

import pytest

from recsys.store.costs import SHIPPED, Costs, after
from recsys.store.fingerprint import Fingerprint
from recsys.store.store import Manifest, Store, content
from tests.made_stores import codes, fit, keep


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def wanted(store: Store, data: Manifest, **changes: Any) -> Fingerprint:
    return fit({"codes": content(data)}, **changes)


def test_without_a_past_the_shipped_figures_tell(store: Store) -> None:
    cost = Costs(store).cost(fit({}), 1_000_000)
    assert cost.seconds == SHIPPED["train_mf"].seconds(1_000_000, 10)
    assert cost.megabytes == SHIPPED["train_mf"].memory(1_000_000)
    assert not cost.measured


def test_what_the_same_took_before_is_what_it_will_take_with_another_seed(store: Store) -> None:
    data = codes(store, 5000)
    keep(store, wanted(store, data, seed=1), seconds=40.0, peak_mb=900.0)
    keep(store, wanted(store, data, seed=1, embedding_size=200), seconds=400.0)
    cost = Costs(store).cost(wanted(store, data, seed=2), 5000)
    assert [cost.seconds, cost.megabytes] == pytest.approx([40.0, 900.0])
    assert cost.measured


def test_more_ratings_and_more_epochs_take_longer_than_they_did(store: Store) -> None:
    keep(store, wanted(store, codes(store, 500_000)), seconds=30.0)
    costs = Costs(store)
    larger = costs.cost(fit({"codes": content(codes(store, 2_000_000))}), 2_000_000)
    longer = costs.cost(fit({}, epochs=40), 500_000)
    assert 60 < larger.seconds < 120
    assert 60 < longer.seconds < 120


def test_known_epochs_take_longer_with_the_ratings_and_unknown_ones_become_fewer(store: Store) -> None:
    known, unknown = (
        [Costs(store).cost(fit({}, task="train_dnn_tuned", known=known), rows).seconds for rows in (10**7, 10**8)]
        for known in (True, False)
    )
    assert known[1] == pytest.approx(10 * known[0], rel=0.02)
    assert unknown[1] < 5 * unknown[0]


def test_trials_of_more_ratings_are_of_a_sample_of_them(store: Store) -> None:
    few, many = (Costs(store).cost(fit({}, task="try_mf"), rows).seconds for rows in (10**7, 10**8))
    assert many < 3 * few


def test_the_nearest_in_size_counts(store: Store) -> None:
    keep(store, wanted(store, codes(store, 1000)), seconds=20.0)
    keep(store, wanted(store, codes(store, 90_000)), seconds=5.0)
    seconds = Costs(store).cost(fit({}), 100_000).seconds
    assert seconds == pytest.approx(
        5.0 * SHIPPED["train_mf"].seconds(100_000, 10) / SHIPPED["train_mf"].seconds(90_000, 10)
    )


def test_fits_of_one_kind_are_compared_where_the_settings_are_not_known(store: Store) -> None:
    data = codes(store, 5000)
    trial = keep(store, wanted(store, data, task="try_mf", seed=1), seconds=9.0)
    keep(store, fit({"codes": content(data), "chosen": content(trial)}, seed=1), seconds=3.0)
    keep(store, fit({"codes": content(data), "chosen": None}, seed=1), seconds=70.0)
    unknown = fit({"codes": content(data), "chosen": content(after("try_mf"))}, known=False)
    assert Costs(store).cost(unknown, 5000).seconds == pytest.approx(3.0)
    assert Costs(store).reads(unknown) == {"encode", "try_mf"}


def test_what_cannot_be_read_is_passed_over(store: Store) -> None:
    made = keep(store, fit({"codes": content(codes(store, 5000))}), seconds=9.0)
    (store.root / "models" / made["key"] / "artefact.json").write_text("{")
    assert not Costs(store).cost(fit({}), 5000).measured
