"""New users without a new training: their vectors in closed form, in a factor model whose items stay as they are.

    rating = μ + c_i + x_i · θ + ε,    x_i = (1, q_i),    θ = (b, p) ~ N(L h, Σ),    ε ~ N(0, σ² d_i)

so that, given some ratings, the mean of θ solves a linear system. Where a model has noise of each user, σ² is the
user's own, of which the equations and their errors are solved in turn. The prior is empirical Bayes (Efron 2010,
'Large-Scale Inference', chapter 1): L is a ridge regression of the known users' θ on their histories h, which sum up
what they have rated, and Σ is the covariance of what that leaves. A model that keeps draws of its posterior has a prior
for each, and a prediction is the mean of theirs; any other is a single draw, whose users are shrunk, for which Σ makes
up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys.models.baselines import DAMPINGS, Baseline
from recsys.models.bayes_mf import BayesianFactors
from recsys.models.blend import Blend
from recsys.models.factors import Factors
from recsys.models.predictor import Codes, FactorPredictor, Floats, Predictor
from recsys.models.specs import ROW
from recsys.text import listing
from recsys.training.gibbs.sampler import OWN_NOISE_RATINGS

Doubles = npt.NDArray[np.float64]
Rows = tuple[Codes, Codes, npt.NDArray[np.float32]]

Scores = Callable[[Codes], Doubles]
"""From codes of items that the model knows to predictions for one user, in rating units."""

RIDGES = (1.0, 10.0, 100.0, 1e3, 1e4)
"""Strengths of regularisation of L, in users."""

MOST_USERS = 20_000
"""Users, drawn at random, that the prior is fitted to."""

MOST_NUMBERS = 2**21
"""Of the Gram matrices, one a user, that say how much users are shrunk: 200 users with 100 factors."""

SHRUNK = 20.0
"""Ratings with which a user of a model without draws has half of the weight in the prior of one with very many."""

BY_A_BIAS = "by a bias alone, as the model has no vectors of users"

ROUNDS = 10
"""Of the iteration that makes up for the shrinkage."""

NOISE_ROUNDS = 3
"""Of the user's equations and noise."""

EQUAL = 1e-6
"""What is below is a rounding error."""


class FoldedIn(NamedTuple):
    """How the ratings of a new user were folded in, and what predicts for them; None where biases alone do."""

    way: str
    scores: Scores | None


class Tables(NamedTuple):
    """The draws of a factor model, in its own units; the tables are of (bias, vector).

    Attributes:
        users: shape (draws, users, 1 + size).
        items: shape (draws, items, 1 + size).
        item_noise: d, shape (draws, items).
        noise: σ² of each draw, for a user of whom nothing is known, shape (draws,); None where there are no draws of
            the posterior.
        own_noise: as in `Prior`.
    """

    users: npt.NDArray[np.floating]
    items: npt.NDArray[np.floating]
    item_noise: npt.NDArray[np.floating]
    noise: Doubles | None
    own_noise: float = np.inf


class Prior(NamedTuple):
    """Of the (bias, vector) of a new user.

    Attributes:
        link: L with the intercept in its first row, float32 of shape (draws, columns of h + 1, 1 + size).
        covariance: Σ, float32 of shape (draws, 1 + size, 1 + size).
        noise: σ², float32 of shape (draws,).
        own_noise: ratings that draw the noise of a user to σ², float32 of shape (draws,); inf where all have the same.
    """

    link: npt.NDArray[np.float32]
    covariance: npt.NDArray[np.float32]
    noise: npt.NDArray[np.float32]
    own_noise: npt.NDArray[np.float32]


def tables_of(model: Predictor) -> Tables | None:
    """Return the tables of a factor model, None for any other."""
    if isinstance(model, BayesianFactors):
        draws = model.draws
        noise = draws.user_noise.mean(axis=1, dtype=np.float64)
        own = OWN_NOISE_RATINGS if np.ptp(draws.user_noise[0]) > 0 else np.inf
        return Tables(draws.users, draws.items, draws.item_noise, noise, own)
    factors = model.factors if isinstance(model, FactorPredictor) else None
    if factors is None:
        return None
    users, items = _joined(factors.user_bias, factors.user), _joined(factors.item_bias, factors.item)
    return Tables(users, items, np.ones(items.shape[:2], np.float32), None)


def fit_prior(model: Predictor, ratings: Rows) -> Prior | None:
    """Return the prior of a new user of a factor model, None for any other model.

    Args:
        ratings: what the model was fitted to: user codes, item codes and ratings, shape (ratings,).
    """
    tables = tables_of(model)
    if tables is None or not isinstance(model, FactorPredictor):
        return None
    user, item, rating = ratings
    users, items = tables.users.shape[1], tables.items.shape[1]
    chosen = np.sort(np.random.default_rng(0).permutation(np.unique(user))[:MOST_USERS])
    ones = np.ones(len(user), np.float32)
    rated = sparse.csr_array((ones, (user, item)), shape=(users, items)).astype(np.float64)[chosen]
    popularity = np.bincount(item, minlength=items)
    counts = rated.sum(axis=1)
    priors = []
    for draw in range(len(tables.users)):
        own, others = (table.astype(np.float64) for table in (tables.users[draw, chosen], tables.items[draw]))
        history = _history(rated @ _described(others, popularity), counts)
        design = _design(others)
        importance = popularity @ design**2
        if tables.noise is None:
            weight = counts / (counts + SHRUNK)
            link, covariance = _regression(history, own, weight, importance)
            squares = float(np.mean((model.predict(user, item) - rating) ** 2, dtype=np.float64))
            squares = max(squares / model.units[0] ** 2, EQUAL)
            covariance, noise = _widened(covariance, squares, rated, design, weight)
        else:
            link, covariance = _regression(history, own, np.ones(len(chosen)), importance)
            noise = tables.noise[draw]
        priors.append((link, covariance, np.asarray(noise), np.asarray(tables.own_noise)))
    return Prior(*(np.stack(parts).astype(np.float32) for parts in zip(*priors, strict=True)))


@dataclass(frozen=True)
class Folding:
    """A model, and its prior of new users if it has one, as `fit_prior` returns it."""

    model: Predictor
    prior: Prior | None

    def fold_in(self, popularity: npt.NDArray[np.integer], item: Codes, rating: Doubles) -> FoldedIn:
        """Return what predicts for a user who is not known.

        Args:
            popularity: ratings of each item in training, shape (items,).
            item: codes of the items that the user has rated, one or more and none twice, shape (ratings,).
            rating: in rating units, shape (ratings,).
        """
        if isinstance(self.model, FactorPredictor) and self._tables and self.prior:
            scores = _closed_form(self.model, self._tables, self.prior, popularity, item, rating)
            return FoldedIn("in closed form", scores)
        return FoldedIn(BY_A_BIAS, None)

    @cached_property
    def _tables(self) -> Tables | None:
        return tables_of(self.model)


def fold_into_blend(
    blend: Blend,
    foldings: Mapping[str, Sequence[Folding]],
    popularity: npt.NDArray[np.integer],
    item: Codes,
    rating: Doubles,
    by_biases: Scores,
) -> FoldedIn:
    """Return the blend of what its members predict for a user who is not known.

    Args:
        foldings: row -> one for each fit of its models. Baselines, and models that cannot, answer as `by_biases`.
        popularity: as for `Folding.fold_in`, like the next two.
    """
    folded = {name: [fit.fold_in(popularity, item, rating) for fit in fits] for name, fits in foldings.items()}
    ways = {
        ROW[name].title: folded[name][0].way if name in folded and folded[name][0].scores else "by a bias alone"
        for name in blend.members
    }

    def scores(asked: Codes) -> Doubles:
        def of_fit(name: str, number: int) -> Floats:
            own = folded[name][number].scores if name in folded else None
            return (own or by_biases)(asked)

        return np.asarray(blend.of(of_fit), np.float64)

    return FoldedIn(f"by the blend of {listing([f'{title} {way}' for title, way in ways.items()])}", scores)


def _closed_form(
    model: FactorPredictor,
    tables: Tables,
    prior: Prior,
    popularity: npt.NDArray[np.integer],
    item: Codes,
    rating: Doubles,
) -> Scores:
    """Return what predicts from the mean of the posterior."""
    factors, (scale, offset) = _of(model)
    rated = tables.items[:, item].astype(np.float64)
    history = _history(_described(rated, popularity[item]).sum(axis=1), np.array(len(item)))
    expected = np.einsum("dh,dhk->dk", _with_intercept(history), prior.link)
    design = _design(rated)
    left = (rating - offset) / scale - factors.mean - rated[:, :, 0] - np.einsum("dnk,dk->dn", design, expected)
    noise = prior.noise[:, None] * tables.item_noise[:, item]
    size = np.ones((len(noise), 1))  # of the user's own noise, as a multiple of the common one
    own = np.isfinite(prior.own_noise).all()
    for _ in range(NOISE_ROUNDS if own else 1):
        precise = design.swapaxes(1, 2) / (noise * size)[:, None]
        system = np.eye(design.shape[2]) + prior.covariance @ (precise @ design)
        solved = np.linalg.solve(
            system, prior.covariance @ np.concatenate([precise @ left[:, :, None], precise], axis=2)
        )
        if own:
            errors = left - (design @ solved[:, :, :1])[:, :, 0]
            spread = np.einsum("dnk,dkn->dn", design, solved[:, :, 1:]) * noise * size
            total = ((errors**2 + spread) / noise).sum(axis=1, keepdims=True)
            size = (prior.own_noise[:, None] + total) / (prior.own_noise[:, None] + len(item))
    theta = expected + solved[:, :, 0]
    return _scores(model, tables.items, theta)


def damping_of(biases: Baseline, ratings: Rows) -> float:
    """Return the damping, in ratings, with which the biases of users were fitted, within the range of DAMPINGS.

    A bias is b = Σ (r - mean - b_i) / (n + damping), see `fit_biases`.
    """
    user, item, rating = ratings
    left = np.bincount(user, rating - biases.mean - biases.item[item], len(biases.user))
    counts = np.bincount(user, minlength=len(biases.user))
    squares = float(biases.user @ biases.user)
    if not squares:
        return DAMPINGS[-1]
    return float(np.clip(biases.user @ (left - counts * biases.user) / squares, DAMPINGS[0], DAMPINGS[-1]))


def _joined(bias: npt.NDArray[np.floating], vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return np.concatenate([bias[:, None], vectors], axis=1)[None]


def _of(model: FactorPredictor) -> tuple[Factors, tuple[float, float]]:
    assert model.factors is not None, "it is a factor model"
    return model.factors, model.units


def _scores(model: FactorPredictor, items: npt.NDArray[np.floating], theta: Doubles) -> Scores:
    """Predictions by (bias, vector), shape (draws, 1 + size), of one user, and such tables of the items."""
    factors, (scale, offset) = _of(model)

    def scores(item: Codes) -> Doubles:
        found = np.zeros(len(item))
        for table, (bias, *vector) in zip(items, theta, strict=True):
            found += bias + table[item, 1:] @ np.array(vector, np.float32)
        return np.asarray(scale * (factors.mean + factors.item_bias[item] + found / len(theta)) + offset)

    return scores


def _design(items: npt.NDArray[np.floating]) -> Doubles:
    """The (1, vector) of items that are (bias, vector)."""
    design = items.astype(np.float64)
    design[..., 0] = 1
    return design


def _described(items: Doubles, popularity: npt.NDArray[np.integer]) -> Doubles:
    """What a history sums up of items, shape (..., items, 2 + 1 + size)."""
    popular = np.broadcast_to(np.log1p(popularity)[:, None], (*items.shape[:-1], 1))
    return np.concatenate([np.ones_like(popular), popular, items], axis=-1)


def _history(sums: Doubles, ratings: npt.NDArray[Any]) -> Doubles:
    """h without the intercept, of the sums over so many ratings."""
    many = np.broadcast_to(np.asarray(ratings, np.float64)[..., None], (*sums.shape[:-1], 1))
    return np.concatenate([np.log(many), sums / np.sqrt(many)], axis=-1)


def _with_intercept(history: Doubles) -> Doubles:
    return np.concatenate([np.ones_like(history[:, :1]), history], axis=1)


def _regression(history: Doubles, own: Doubles, weight: Doubles, importance: Doubles) -> tuple[Doubles, Doubles]:
    """Return L and the covariance of the errors of each user's θ where the user is left out.

    Args:
        history: shape (users, columns).
        own: θ, shape (users, 1 + size).
        weight: of each user.
        importance: of each column of θ, in the choice of the ridge.
    """
    share, root = weight / weight.sum(), np.sqrt(weight)[:, None]
    centre, mean = share @ history, share @ own
    spread = np.sqrt(share @ (history - centre) ** 2)
    spread[spread < EQUAL] = np.inf
    left, values, right = np.linalg.svd(root * (history - centre) / spread, full_matrices=False)
    target = root * (own - mean)
    projected = left.T @ target

    def errors(ridge: float) -> Doubles:
        kept = values**2 / (values**2 + ridge)
        leverage = share + left**2 @ kept
        found: Doubles = (target - left @ (kept[:, None] * projected)) / np.maximum(1 - leverage, EQUAL)[:, None]
        return found

    ridge = min(RIDGES, key=lambda ridge: float((errors(ridge) ** 2 @ importance).sum()))
    found = right.T @ ((values / (values**2 + ridge))[:, None] * projected) / spread[:, None]
    error = errors(ridge)
    return np.concatenate([(mean - centre @ found)[None], found]), error.T @ error / weight.sum()


def _widened(
    shrunk: Doubles, squares: float, rated: sparse.csr_array, design: Doubles, weight: Doubles
) -> tuple[Doubles, float]:
    """Return Σ and σ² where the known users' θ are the means of a posterior, by the steps of the algorithm EM.

    The covariance of such means lacks the mean of the posterior's covariances, and the squared error of predictions by
    them what these add to it; both depend on Σ and σ².

    Args:
        shrunk: the covariance of the means.
        squares: the mean squared error.
        rated: how often each user has rated each item.
        design: (1, vector) of the items.
        weight: of each user.
    """
    some = np.random.default_rng(1).permutation(len(weight))[: max(1, MOST_NUMBERS // shrunk.size)]
    grams = np.stack(
        [design[items].T @ design[items] for items in np.split(rated[some].indices, rated[some].indptr[1:-1])]
    )
    share, ratings = weight[some] / weight[some].sum(), float(rated[some].sum())
    covariance, noise = shrunk, squares
    for _ in range(ROUNDS):
        systems = np.eye(len(shrunk)) + covariance @ grams / noise
        posterior = np.linalg.solve(systems, np.broadcast_to(covariance, systems.shape))
        covariance = shrunk + np.einsum("u,ujk->jk", share, posterior)
        noise = squares + float(np.einsum("ujk,ukj->", grams, posterior)) / ratings
    return covariance, noise
