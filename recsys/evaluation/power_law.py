"""Power laws through the errors of models by the number of their training ratings.

That test errors fall as a power of the number of training examples, towards a limit that more examples do not lower,
is an empirical regularity (Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically"; Rosenfeld et al.
2020, "A Constructive Prediction of the Generalization Error Across Scales").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys.evaluation.results import Estimate, Outlook, PowerLaw
from recsys.evaluation.thresholds import LEVEL

Floats = npt.NDArray[np.float64]

FEWEST_POINTS = 4
"""One more than a law has numbers."""

TIMES = 10.0
"""How many times the ratings the laws are asked about."""

EXPONENTS: Floats = np.geomspace(0.02, 4, 160)

FURTHEST = 100
"""Laws are followed up to so many times the ratings that there are."""


@dataclass(frozen=True)
class PowerLaws:
    """limit + reducible * size ** -exponent, one a curve: float64, shape (curves,) each.

    Sizes are relative to some number of ratings, at which the `reducible` part of the error is what it says.
    """

    limit: Floats
    reducible: Floats
    exponent: Floats

    def at(self, size: Floats) -> Floats:
        """Return the errors at these sizes, shape (curves, sizes)."""
        error: Floats = self.limit[:, None] + self.reducible[:, None] * size ** -self.exponent[:, None]
        return error


def fit_power_laws(size: Floats, error: Floats) -> PowerLaws:
    """Fit a law to each curve by least squares, weighted by size; limit and reducible part are not below 0.

    What a training hangs on beside the number of ratings, such as which ratings these are, has a variance that falls
    as one over their number; weights that grow with the size predict better than equal ones (Figueroa et al. 2012,
    "Predicting Sample Size Required for Classification Performance"). For each of EXPONENTS the other two numbers have
    a closed form, so that no fit can fail to converge.

    Args:
        size: shape (points,).
        error: shape (curves, points).
    """
    power = size ** -EXPONENTS[:, None]
    weight = size / size.sum()
    # no BLAS, whose bits depend on the number of cores
    middle, mean = np.einsum("ep,p->e", power, weight), np.einsum("cp,p->c", error, weight)
    spread = np.einsum("ep,p->e", (power - middle[:, None]) ** 2, weight)
    product = np.einsum("cp,ep->ce", error * weight, power)
    reducible = (product - mean[:, None] * middle) / spread
    through_nothing = product / np.einsum("ep,p->e", power**2, weight)
    limit = mean[:, None] - reducible * middle
    reducible = np.where(limit < 0, through_nothing, reducible)
    limit = np.where(reducible < 0, mean[:, None], np.maximum(limit, 0))
    reducible = np.maximum(reducible, 0)
    deviation = error[:, None] - limit[..., None] - reducible[..., None] * power
    best = np.einsum("cep,p->ce", deviation**2, weight).argmin(axis=1)
    chosen = np.arange(len(error)), best
    return PowerLaws(limit[chosen], reducible[chosen], EXPONENTS[best])


def unexplained(laws: PowerLaws, size: Floats, error: Floats) -> Floats:
    """Return the standard deviation of a point of size 1 around the law of each curve, shape (curves,)."""
    squares = np.einsum("cp,p->c", (error - laws.at(size)) ** 2, size)
    deviation: Floats = np.sqrt(squares / (len(size) - FEWEST_POINTS + 1))
    return deviation


def missed_gap(size: Floats, mse: Floats) -> float:
    """Return how far the gap at the last size is from what laws through the others predict, for each e-fold of ratings.

    Points that follow another curve than a power law are predicted by one with an error that grows with the distance;
    the last of them shows how large it is (a forecast from a rolling origin: Tashman 2000, "Out-of-Sample Tests of
    Forecasting Accuracy").

    Args:
        size: shape (points,), rising.
        mse: of the two models, shape (2, points).
    """
    before = fit_power_laws(size[:-1], mse[:, :-1])
    missed = mse[:, -1] - before.at(size[-1:])[:, 0]
    return float(abs(missed[1] - missed[0]) / np.log(size[-1] / size[-2]))


def meeting_sizes(one: PowerLaws, other: PowerLaws, missed: Floats | float = 0.0) -> Floats:
    """Return where the laws first meet beyond size 1, up to FURTHEST, shape (curves,); NaN where they do not.

    `missed` is by how much they are wrong about the gap of each curve for each e-fold of ratings, shape (curves,).
    """
    size = np.geomspace(1, FURTHEST, 300)
    gap = one.at(size) - other.at(size) + np.reshape(missed, (-1, 1)) * np.log(size)
    turned = gap[:, :-1] * gap[:, 1:] < 0
    first = turned.argmax(axis=1)
    rows = np.arange(len(gap))
    before, after = gap[rows, first], gap[rows, first + 1]
    meets = turned.any(axis=1)
    part = np.divide(before, before - after, out=np.zeros(len(gap)), where=meets)
    met: Floats = np.where(meets, size[first] * (size[1] / size[0]) ** part, np.nan)
    return met


def outlook_of(
    size: Floats,
    mse: Floats,
    drawn: Floats,
    seeds: Sequence[Sequence[float]],
    ratings: int,
    random: np.random.Generator,
    times: float = TIMES,
) -> Outlook:
    """Return what power laws through the points say, with intervals of users, another training, and the law's form.

    Test users alone would make the laws look surer than they are: each point is of one training, or the last of the
    mean of several, which varies as much as the seeds of the last point do, or as the points do around the law; and
    beyond the points a law may be wrong by as much as it was on the way to the last of them (`missed_gap`).

    Args:
        size: of each point, as a share of all `ratings`, shape (points,).
        mse: shape (2, points), of the factorisation and of the network.
        drawn: the same in resamples of the test users, shape (2, points, resamples).
        seeds: MSE of each seed on all ratings, of the two.
    """
    laws, resampled = [], []
    for errors, samples, of_seeds in zip(mse, drawn, seeds, strict=True):
        law = fit_power_laws(size, errors[None])
        sd = float(unexplained(law, size, errors[None])[0])
        if len(of_seeds) > 1:
            sd = max(sd, float(np.std(of_seeds, ddof=1)))
        noise = sd / np.sqrt(size)
        noise[-1] /= np.sqrt(len(of_seeds))
        noisy = samples.T + noise * random.normal(size=samples.T.shape)
        laws.append(law)
        resampled.append(fit_power_laws(size, noisy))
    missed = missed_gap(size, mse) * random.normal(size=drawn.shape[2])
    (mf, dnn), (mf_drawn, dnn_drawn) = laws, resampled
    [gap] = _gap_at(times, mf, dnn)
    gaps = _gap_at(times, mf_drawn, dnn_drawn) + missed * np.log(times)
    met = meeting_sizes(mf_drawn, dnn_drawn, missed)
    [at] = meeting_sizes(mf, dnn)
    meets = met[~np.isnan(met)]
    meeting = None
    if not np.isnan(at):
        low, high = _ends(meets if len(meets) else np.array([at]))
        meeting = Estimate(value=ratings * float(at), low=ratings * low, high=ratings * high)
    low, high = _ends(gaps)
    between = Estimate(value=float(gap), low=low, high=high)
    return Outlook(mf=_told(mf), dnn=_told(dnn), times=times, gap=between, meeting=meeting, meet=len(meets) / len(met))


def _told(law: PowerLaws) -> PowerLaw:
    return PowerLaw(limit=float(law.limit[0]), reducible=float(law.reducible[0]), exponent=float(law.exponent[0]))


def _gap_at(times: float, mf: PowerLaws, dnn: PowerLaws) -> Floats:
    gap: Floats = (dnn.at(np.array([times])) - mf.at(np.array([times])))[:, 0]
    return gap


def _ends(drawn: Floats) -> tuple[float, float]:
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)
