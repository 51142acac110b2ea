"""Which rows of the table can be told apart: an interval for each, and letters that rows in a tie share.

The intervals are those of paired differences: each row's MSE less that of the row with the lowest, over the same
resamples of test users and seeds, as the rows' own intervals share most of what another sample of users would change.
The letters are a compact letter display (Piepho 2004, "An Algorithm for a Letter-Based Representation of All-Pairwise
Comparisons"): two rows share a letter exactly if their difference is a tie.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from string import ascii_letters

import numpy as np
import numpy.typing as npt

from recsys.evaluation.results import Difference, Tier
from recsys.evaluation.significance import compare_pairs, resampled_mse
from recsys.evaluation.thresholds import LEVEL

TIES = ("too small", "not certain")


def tiers(
    user: npt.NDArray[np.integer],
    rating: npt.NDArray[np.floating],
    predicted: Mapping[str, Sequence[npt.NDArray[np.floating]]],
    differences: Sequence[Difference],
    *,
    smallest_effect: float,
    resamples: int,
    seed: int,
) -> list[Tier]:
    """Return each row's interval and letters, the row of the lowest MSE first.

    Args:
        user: codes from 0, shape (rows,).
        rating: shape (rows,), in rating units.
        predicted: name -> predictions, shape (rows,), one for each seed.
        differences: those that were tested already, which decide for their pairs.
        smallest_effect: smaller differences are a tie, in squared rating units.
        resamples: number of bootstrap resamples.
    """
    names = list(predicted)
    drawn, mse = resampled_mse(user, rating, list(predicted.values()), resamples, seed)
    order = [int(place) for place in np.argsort(mse, kind="stable")]
    ranked = [names[place] for place in order]
    known = {frozenset((found.name, found.other)): found.verdict for found in differences}
    pairs = [pair for pair in combinations(ranked, 2) if frozenset(pair) not in known]
    more = compare_pairs(
        user, rating, predicted, pairs, smallest_effect=smallest_effect, resamples=resamples, seed=seed
    )
    known |= {frozenset((found.name, found.other)): found.verdict for found in more}
    apart = [pair for pair in combinations(ranked, 2) if known[frozenset(pair)] not in TIES]
    of_row = letters(ranked, apart)
    best = drawn[:, order[0]]
    ends = {name: np.quantile(drawn[:, place] - best, (LEVEL / 2, 1 - LEVEL / 2)) for place, name in enumerate(names)}
    return [
        Tier(name=name, low=float(ends[name][0]), high=float(ends[name][1]), letters=of_row[name]) for name in ranked
    ]


def letters(names: Sequence[str], apart: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return letters by name, such that two names share one exactly if they are not `apart`; earlier names have a."""
    columns = [frozenset(names)]
    for one, other in apart:
        split = [column for column in columns if {one, other} <= column]
        parts = [column - {name} for column in split for name in (one, other)]
        columns = [column for column in columns if column not in split]
        for part in parts:
            if not any(part <= column for column in columns):
                columns = [column for column in columns if not column <= part] + [part]
    columns.sort(key=lambda column: sorted(names.index(name) for name in column))
    return {name: "".join(_letter(number) for number, column in enumerate(columns) if name in column) for name in names}


def _letter(number: int) -> str:
    return ascii_letters[number] if number < len(ascii_letters) else chr(ord("α") + number - len(ascii_letters))
