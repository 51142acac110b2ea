"""The sampler draws from the posterior that its model defines: simulation-based calibration.

Talts et al. 2018, 'Validating Bayesian Inference Algorithms with Simulation-Based Calibration': where parameters are
drawn from the prior and ratings from these parameters, the rank of each true value among posterior draws is uniform.
"""

import numpy as np
import pytest
from scipy.stats import chi2, wishart

from recsys.models.settings import BayesMFSettings
from recsys.training.gibbs.sampler import OWN_NOISE_RATINGS, Sampler

USERS, ITEMS, SIZE = 8, 9, 2
RATED = 40
PROBLEMS, DRAWS, THINNED, BURN_IN = 96, 15, 12, 60
BINS = 8


def side_of_prior(random: np.random.Generator, rated: np.ndarray) -> tuple[np.ndarray, float]:
    """Draw θ of one side and λ from the prior; `rated` is 1 where a row has rated, shape (rows, others)."""
    ridge = random.gamma(0.5, 2)
    precision = np.atleast_2d(wishart.rvs(SIZE + 1, np.eye(SIZE), random_state=random))
    root = np.linalg.inv(np.linalg.cholesky(precision))
    mean = random.normal(size=SIZE) @ root
    link = random.normal(size=(rated.shape[1], SIZE)) @ root / np.sqrt(ridge)
    features = rated / np.sqrt(np.maximum(rated.sum(axis=1, keepdims=True), 1))
    theta = mean + features @ link + random.normal(size=(len(rated), SIZE)) @ root
    return theta, ridge


def predicted(of_user: np.ndarray, of_item: np.ndarray) -> np.ndarray:
    found: np.ndarray = of_user[:, 0] + of_item[:, 0] + (of_user[:, 1:] * of_item[:, 1:]).sum(axis=1)
    return found


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ranks_of_the_truth_among_draws_are_uniform() -> None:
    ranks = []
    for number in range(PROBLEMS):
        random = np.random.default_rng([5, number])
        pairs = np.sort(random.permutation(USERS * ITEMS)[:RATED])
        user, item = (pairs // ITEMS).astype(np.int32), (pairs % ITEMS).astype(np.int32)
        rated = np.zeros((USERS, ITEMS))
        rated[user, item] = 1
        theta_u, ridge_u = side_of_prior(random, rated)
        theta_i, ridge_i = side_of_prior(random, rated.T)
        alpha = random.gamma(1)
        own_u, own_i = (random.gamma(OWN_NOISE_RATINGS / 2, 2 / OWN_NOISE_RATINGS, many) for many in (USERS, ITEMS))
        exact = predicted(theta_u[user], theta_i[item])
        noise = random.normal(size=RATED) / np.sqrt(alpha * own_u[user] * own_i[item])
        rating = (exact + noise).astype(np.float32)
        sampler = Sampler.begin((USERS, ITEMS), (user, item, rating), BayesMFSettings(embedding_size=SIZE - 1), number)
        cells = np.array([0, 3], np.int32), np.array([1, 4], np.int32)
        truth = [
            *(
                theta_u[cells[0], 0]
                + theta_i[cells[1], 0]
                + (theta_u[cells[0], 1:] * theta_i[cells[1], 1:]).sum(axis=1)
            ),
            alpha,
            own_u[2],
            own_i[2],
            ridge_u,
            ridge_i,
        ]
        drawn = []
        for sweep in range(BURN_IN + DRAWS * THINNED):
            sampler.sweep()
            if sweep >= BURN_IN and (sweep - BURN_IN) % THINNED == THINNED - 1:
                own = sampler.users.noise[2], sampler.items.noise[2]
                ridges = sampler.users.ridge, sampler.items.ridge
                drawn.append([*sampler.predict(*cells), sampler.alpha, *own, *ridges])
        ranks.append((np.array(drawn) < np.array(truth)).sum(axis=0))
    for quantity in np.array(ranks).T:
        found = np.bincount(quantity * BINS // (DRAWS + 1), minlength=BINS)
        expected = PROBLEMS / BINS
        assert ((found - expected) ** 2 / expected).sum() < chi2.ppf(1 - 1e-3 / 7, BINS - 1), found
