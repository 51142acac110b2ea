"""New users of made winners: in closed form against plain equations, and by biases."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.errors import BadIds, BadRatings
from recsys.models.baselines import Baseline, fit_biases
from recsys.models.bayes_mf import BayesianFactors, Draws
from recsys.models.factor_model import factor_model
from recsys.models.factors import Factors
from recsys.models.keras_predictor import KerasPredictor
from recsys.models.mlp import build_dnn
from recsys.models.predictor import SavedPredictor
from recsys.models.settings import DNNSettings
from recsys.training.gibbs.sampler import OWN_NOISE_RATINGS
from recsys.winner.fold_in import NOISE_ROUNDS, damping_of, fit_prior
from recsys.winner.folder import FOLD_IN
from recsys.winner.packing import write_winner
from recsys.winner.recommender import Recommender

USERS, ITEMS, SIZE, DRAWS = 300, 60, 3, 3
COLD_ITEM = ITEMS - 1
SCALE, OFFSET, NOISE = 1.1, 3.5, 0.4
PRIOR_MEAN, PRIOR_SD = np.array([0.1, 0.4, 0.0, -0.2]), np.array([0.5, 0.8, 0.5, 0.3])
DAMPING = 5.0

Made = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]


class Truth:
    """Ratings of users with normal vectors, standardised, each of so many items."""

    def __init__(self, each: int) -> None:
        random = np.random.default_rng(7)
        self.item_vectors = random.normal(size=(ITEMS, SIZE))
        self.item_bias = 0.3 * random.normal(size=ITEMS)
        self.design = np.column_stack([np.ones(ITEMS), self.item_vectors])
        self.theta = PRIOR_MEAN + PRIOR_SD * random.normal(size=(USERS, 1 + SIZE))
        self.user = np.repeat(np.arange(USERS, dtype=np.int32), each)
        rows = [random.permutation(COLD_ITEM)[:each] for _ in range(USERS)]
        self.item = np.concatenate(rows).astype(np.int32)
        signal = self.item_bias[self.item] + np.einsum("nk,nk->n", self.design[self.item], self.theta[self.user])
        self.rating = signal + NOISE * random.normal(size=len(signal))

    @property
    def rows(self) -> Made:
        return self.user, self.item, (SCALE * self.rating + OFFSET).astype(np.float32)

    def posterior(self, user: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Mean and covariance of a user's (bias, vector)."""
        rows = self.user == user
        design = self.design[self.item[rows]]
        covariance = np.linalg.inv(np.diag(PRIOR_SD**-2) + design.T @ design / NOISE**2)
        left = self.rating[rows] - self.item_bias[self.item[rows]]
        return covariance @ (PRIOR_MEAN / PRIOR_SD**2 + design.T @ left / NOISE**2), covariance

    def factors(self, theta: npt.NDArray[np.float64]) -> Factors:
        tables = (theta[:, 1:], self.item_vectors, theta[:, 0], self.item_bias)
        users, items, user_bias, item_bias = (table.astype(np.float32) for table in tables)
        return Factors(users, items, user_bias, item_bias, 0.0)

    def shrunk(self) -> KerasPredictor:
        """A model of the means of the posterior, as regularisation leaves them."""
        means = np.stack([self.posterior(user)[0] for user in range(USERS)])
        return KerasPredictor(factor_model(self.factors(means), "mf_tuned")).rescaled(SCALE, OFFSET)

    def bayesian(self) -> BayesianFactors:
        """A model of draws of the posterior of the users; the items turn from draw to draw, and have noise."""
        random = np.random.default_rng(8)
        users, items = [], []
        for _ in range(DRAWS):
            turn = np.linalg.qr(random.normal(size=(SIZE, SIZE)))[0]
            drawn = np.stack([random.multivariate_normal(*self.posterior(user)) for user in range(USERS)])
            users.append(np.column_stack([drawn[:, 0], drawn[:, 1:] @ turn]))
            items.append(np.column_stack([self.item_bias, self.item_vectors @ turn]))
        draws = Draws(
            np.stack(users).astype(np.float16),
            np.stack(items).astype(np.float16),
            np.full((DRAWS, USERS), NOISE**2, np.float32),
            random.uniform(0.5, 2, (DRAWS, ITEMS)).astype(np.float32),
        )
        mean = self.factors(np.stack([self.posterior(user)[0] for user in range(USERS)]))
        compressed = KerasPredictor(factor_model(mean, "bayes_mf"))
        return BayesianFactors(mean, lambda: compressed, draws, "", 1).rescaled(SCALE, OFFSET)


Make = Callable[[str, SavedPredictor, Made], Recommender]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a winner with item ids from 100 on, and load it."""

    def made(name: str, model: SavedPredictor, ratings: Made) -> Recommender:
        folder, source = tmp_path / "winner", tmp_path / "source"
        for place in (folder, source):
            place.mkdir()
        model.save(source / "model.keras")
        files = {path.name: path for path in source.iterdir()}
        users = pa.table({"code": range(USERS), "id": range(USERS)})
        titles = pa.array([f"title {code}" for code in range(ITEMS)])
        items = pa.table({"code": range(ITEMS), "id": [100 + code for code in range(ITEMS)], "title": titles})
        tables = tmp_path / "users.parquet", tmp_path / "items.parquet"
        for table, path in zip((users, items), tables, strict=True):
            pq.write_table(table, path)
        about = {"name": name, "title": name, "reason": "it was chosen", "refitted": True, "seed": 1, "settings": {}}
        write_winner(folder, files, about, ratings, biases_of(ratings), tables)
        return Recommender.load(folder)

    return made


def biases_of(ratings: Made) -> Baseline:
    (biases,) = fit_biases(*ratings, USERS, ITEMS, (DAMPING,))
    return Baseline(float(ratings[2].mean(dtype=np.float64)), *biases, 0, 0.0)


def clipped(winner: Recommender, values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return np.asarray(np.clip(values, winner.about.lowest, winner.about.highest))


IDS = [100 + code for code in range(ITEMS)]


@pytest.mark.parametrize("own_noise", [False, True])
def test_the_closed_form_solves_the_plain_equations_of_each_draw(make: Make, tmp_path: Path, own_noise: bool) -> None:
    truth = Truth(each=15)
    model = truth.bayesian()
    if own_noise:
        of_users = model.draws.user_noise * np.linspace(0.5, 2, USERS, dtype=np.float32)
        model = replace(model, draws=replace(model.draws, user_noise=of_users))
    winner = make("bayes_mf", model, truth.rows)
    rated, rating = [3, 20, 41, 7], np.array([4.0, 2.5, 3.0, 5.0])
    with np.load(tmp_path / "winner" / FOLD_IN) as arrays:
        link, covariance, noise = (arrays[name].astype(np.float64) for name in ("link", "covariance", "noise"))
    popular = np.log1p(np.bincount(truth.item, minlength=ITEMS))
    found = np.zeros(ITEMS)
    for draw in range(DRAWS):
        items = model.draws.items[draw].astype(np.float64)
        sums = np.concatenate([[4.0, popular[rated].sum()], items[rated].sum(axis=0)]) / 2
        mean = np.concatenate([[1.0, np.log(4)], sums]) @ link[draw]
        design = np.column_stack([np.ones(ITEMS), items[:, 1:]])
        common = noise[draw] * model.draws.item_noise[draw, rated]
        left = (rating - OFFSET) / SCALE - items[rated, 0]
        prior = np.linalg.inv(covariance[draw])
        multiple = 1.0
        for _ in range(NOISE_ROUNDS if own_noise else 1):
            precision = np.diag(1 / (multiple * common))
            posterior = np.linalg.inv(prior + design[rated].T @ precision @ design[rated])
            solved = posterior @ (prior @ mean + design[rated].T @ precision @ left)
            squares = (left - design[rated] @ solved) ** 2
            spread = np.diag(design[rated] @ posterior @ design[rated].T)
            multiple = (OWN_NOISE_RATINGS + np.sum((squares + spread) / common)) / (OWN_NOISE_RATINGS + len(rated))
        found += design @ solved / DRAWS
    expected = clipped(winner, SCALE * (truth.item_bias + found) + OFFSET)[:COLD_ITEM]
    new = winner.fold_in([100 + code for code in rated], rating)
    assert new.way == "in closed form"
    np.testing.assert_allclose(new.predict(IDS[:COLD_ITEM]), expected, atol=2e-3)


@pytest.mark.parametrize("kind", ["bayes_mf", "mf_tuned"])
def test_the_ratings_of_a_known_user_fold_into_that_user(make: Make, kind: str) -> None:
    truth = Truth(each=15)
    model = truth.bayesian() if kind == "bayes_mf" else truth.shrunk()
    winner = make(kind, model, truth.rows)
    for user in (0, 17, 203):
        rows = truth.user == user
        new = winner.fold_in([100 + code for code in truth.item[rows]], truth.rows[2][rows])
        known = winner.predict([user] * COLD_ITEM, IDS[:COLD_ITEM])
        error = new.predict(IDS[:COLD_ITEM]) - known
        assert np.sqrt(np.mean(error**2)) < 0.15 * known.std()


def test_the_prior_is_that_of_the_users_though_a_model_without_draws_has_shrunk_them() -> None:
    truth = Truth(each=4)
    model = truth.shrunk()
    assert model.factors is not None
    alone = np.var(np.column_stack([model.factors.user_bias, model.factors.user]), axis=0)
    prior = fit_prior(model, truth.rows)
    assert prior is not None
    assert (alone[:3] < 0.85 * PRIOR_SD[:3] ** 2).all()
    np.testing.assert_allclose(np.diag(prior.covariance[0])[:3], PRIOR_SD[:3] ** 2, rtol=0.25)
    np.testing.assert_allclose(prior.noise[0], NOISE**2, rtol=0.25)


def test_the_prior_of_draws_is_that_of_the_users_though_it_follows_their_histories() -> None:
    """The first factor follows what has been rated."""
    truth = Truth(each=15)
    sums = np.bincount(truth.user, truth.item_vectors[truth.item, 0], USERS) / np.sqrt(15)
    truth.theta[:, 1] += sums - sums.mean()
    drawn = truth.factors(truth.theta)
    users = np.column_stack([drawn.user_bias, drawn.user])[None].astype(np.float16)
    items = np.column_stack([drawn.item_bias, drawn.item])[None].astype(np.float16)
    noise = np.full((1, USERS), NOISE**2, np.float32)
    draws = Draws(users, items, noise, np.ones((1, ITEMS), np.float32))
    compressed = KerasPredictor(factor_model(drawn, "bayes_mf"))
    prior = fit_prior(BayesianFactors(drawn, lambda: compressed, draws, "", 1), truth.rows)
    assert prior is not None
    np.testing.assert_allclose(np.diag(prior.covariance[0]), PRIOR_SD**2, rtol=0.25)
    np.testing.assert_allclose(prior.noise, NOISE**2, rtol=1e-3)


def test_a_network_that_concatenates_leaves_a_damped_bias(make: Make) -> None:
    truth = Truth(each=15)
    model = KerasPredictor(build_dnn(USERS, ITEMS, DNNSettings(embedding_size=2, units=(4,)), 1))
    winner = make("dnn", model, truth.rows)
    biases = biases_of(truth.rows)
    rated, rating = [3, 20, 41], np.array([4.0, 2.5, 3.0])
    bias = (rating - biases.mean - biases.item[rated]).sum() / (3 + DAMPING)
    new = winner.fold_in([103, 120, 141], rating)
    assert new.way.startswith("by a bias alone")
    expected = clipped(winner, biases.mean + bias + np.append(biases.item, 0))
    np.testing.assert_allclose(new.predict([*IDS, 7]), expected, rtol=1e-3)


def test_items_that_are_unknown_are_ignored_and_of_repeated_ones_the_last_counts(make: Make) -> None:
    truth = Truth(each=15)
    winner = make("mf_tuned", truth.shrunk(), truth.rows)
    plain = winner.fold_in([103, 120], [4.0, 2.0])
    odd = winner.fold_in([120, 7, 100 + COLD_ITEM, 103, 120], [5.0, 1.0, 1.0, 4.0, 2.0])
    np.testing.assert_allclose(odd.predict(IDS), plain.predict(IDS))
    assert not np.allclose(winner.fold_in([103, 120], [4.0, 5.0]).predict(IDS), plain.predict(IDS))
    texts = winner.fold_in(["103", "120"], [4.0, 2.0])
    np.testing.assert_allclose(texts.predict(["103"]), plain.predict([103]))


@pytest.mark.parametrize("rated", [[], [7, 100 + COLD_ITEM]])
def test_without_a_known_item_the_biases_of_the_items_say(make: Make, rated: list[int]) -> None:
    truth = Truth(each=15)
    winner, biases = make("mf_tuned", truth.shrunk(), truth.rows), biases_of(truth.rows)
    new = winner.fold_in(rated, [1.0] * len(rated))
    assert new.way.startswith("by the biases of the items alone")
    np.testing.assert_allclose(new.predict([*IDS, 7]), [*clipped(winner, biases.mean + biases.item), biases.mean])
    assert new.recommend(n=1000)["item"].tolist() == [IDS[code] for code in np.argsort(-biases.item[:COLD_ITEM])]


def test_a_list_has_the_best_items_without_those_rated_and_excluded(make: Make) -> None:
    truth = Truth(each=15)
    winner = make("mf_tuned", truth.shrunk(), truth.rows)
    new = winner.fold_in([103, 120], [4.0, 2.0])
    left = [id_ for id_ in IDS[:COLD_ITEM] if id_ not in (103, 120, 105)]
    best = sorted(left, key=lambda id_: -new.predict([id_])[0])[:4]
    found = new.recommend(4, exclude=[105, 9999])
    assert list(found) == list(winner.recommend(0, 4)) == ["rank", "item", "title", "prediction"]
    assert found["item"].tolist() == best
    assert found["title"].tolist() == [f"title {id_ - 100}" for id_ in best]
    np.testing.assert_allclose(found["prediction"], new.predict(best))


def test_ratings_that_are_none_are_told(make: Make) -> None:
    truth = Truth(each=15)
    winner = make("mf_tuned", truth.shrunk(), truth.rows)
    with pytest.raises(BadRatings, match="2 items and 1 ratings"):
        winner.fold_in([103, 120], [4.0])
    with pytest.raises(BadRatings, match="position 0 is missing"):
        winner.fold_in([103], [float("nan")])
    with pytest.raises(
        BadRatings, match=r"position 1 is 500, and the model was fitted to ratings from .* on that scale"
    ):
        winner.fold_in([103, 120], [4.0, 500.0])
    with pytest.raises(BadIds, match="must be integers or texts"):
        winner.fold_in([1.5], [4.0])


def test_the_damping_of_biases_is_found_again() -> None:
    ratings = Truth(each=15).rows
    assert damping_of(biases_of(ratings), ratings) == pytest.approx(DAMPING, rel=1e-3)
    nobody = Baseline(3.5, np.zeros(USERS), np.zeros(ITEMS), 0, 0.0)
    assert damping_of(nobody, ratings) == 50.0
