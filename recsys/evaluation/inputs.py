"""What a comparison reads: the ratings with their split, and the trained models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recsys.arrays import Columns, taken
from recsys.blocks import TEMPORARY, RatingBlocks, Scratch, in_blocks, value_counts
from recsys.data.draw import divide, hold_out
from recsys.data.pairs import pairs_of
from recsys.evaluation.results import DataFacts, RatingCount
from recsys.memory import require_memory
from recsys.models.fallback import Warm
from recsys.models.predictor import Codes
from recsys.models.specs import MODEL
from recsys.models.sums import PairCounts
from recsys.settings import Protocol, SplitSettings
from recsys.store.store import Manifest, Store

Rows = npt.NDArray[np.integer]
Made = Manifest | Exception
"""An artefact, or why there is none."""

Models = Mapping[str, Mapping[str, Made]]
"""Row -> its fits by seed, and as `chosen` the fit that chose the number of epochs, where that is another."""

CHOSEN = "chosen"

MOST_VALUES = 50
"""Rating scales with more distinct values are binned."""

BYTES_PER_RATING, BYTES_IN_BLOCKS, MOST_IN_BLOCKS = 5, 45, 10_000_000
"""Memory of a comparison for each rating, and for each of those, at most so many, that are held in blocks.

Measured by `tests/benchmarks/report_memory.py` on up to 80 million ratings, and by how much the blocks add on 5 and 20.
"""


@dataclass(frozen=True)
class Fitted:
    """One trained model on disk; `facts` are what `recsys.training.train.fit_and_save` returned."""

    seed: int
    path: Path
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class TrainedModel:
    """A model of the comparison, trained with one seed or several.

    Attributes:
        fits: one a seed.
        chosen: the facts of the fit that chose the number of epochs on validation ratings, where `fits` are refits to
            training and validation ratings.
        validation: .npy file of that fit's predictions of the validation ratings, where they were kept.
    """

    fits: Sequence[Fitted]
    chosen: Mapping[str, Any] | None = None
    validation: Path | None = None


@dataclass(frozen=True)
class Ratings:
    """Ratings as codes, and the three sets of row numbers.

    `user`, `item` and `rating` are of shape (ratings,). In protocol notebook, `validation` are the test rows. `users`
    is a parquet file code -> id, `items` one code -> id, title. `repeats` is False only where it is known that no two
    ratings are of the same user and item.
    """

    user: Codes
    item: Codes
    rating: npt.NDArray[np.float32]
    train: Rows
    validation: Rows
    test: Rows
    users: Path
    items: Path
    repeats: bool = True

    @property
    def of(self) -> Columns:
        """User codes, item codes and ratings."""
        return self.user, self.item, self.rating

    def columns(self, rows: Rows) -> Columns:
        """Return the ratings of some rows, in memory."""
        return taken(self.user, rows), taken(self.item, rows), taken(self.rating, rows)


Bits = npt.NDArray[np.uint8]
KEPT, CHOOSING, TESTED = 1, 2, 4
"""Bits of what a rating is for: to be fitted to, to choose by, to be tested on."""


@dataclass(frozen=True)
class Known:
    """The ratings that may be used before the test.

    The scored baselines are fitted to all of them (`fitted`); hyperparameters and blend weights are chosen by fits to
    `kept`, on the rest (`choosing`).
    """

    fitted: RatingBlocks
    kept: RatingBlocks
    choosing: RatingBlocks

    @classmethod
    def of(cls, columns: Columns, *rows: tuple[Rows, int | Bits]) -> Self:
        """Tell ratings apart by their row numbers and KEPT or CHOOSING, one for all or one for each."""
        parts = marked(len(columns[0]), *rows)
        return cls(*(RatingBlocks.some(columns, parts, bits) for bits in (KEPT | CHOOSING, KEPT, CHOOSING)))


def marked(ratings: int, *rows: tuple[Rows, int | Bits]) -> Bits:
    """Return the bits of each of so many ratings, shape (ratings,), given by row numbers: one for all, or for each."""
    parts = np.zeros(ratings, np.uint8)
    for some, bits in rows:
        of_each = bits if isinstance(bits, np.ndarray) else np.broadcast_to(np.uint8(bits), len(some))
        for block, of_block in in_blocks(some, of_each):
            parts[block] |= of_block
    return parts


@dataclass(frozen=True)
class Tested:
    """The test rows in the order of the file: codes, ratings and which of them are cold, shape (rows,) each."""

    user: Codes
    item: Codes
    rating: npt.NDArray[np.float32]
    cold: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, ratings: Ratings, warm: Warm, scratch: Scratch) -> Self:
        """Read them."""
        rows = RatingBlocks.some(ratings.of, marked(len(ratings.rating), (ratings.test, TESTED)), TESTED)
        user, item, rating = rows.spooled(scratch)
        cold = scratch.column(np.bool_, len(rows), (warm.cold(*block) for block in in_blocks(user, item)))
        return cls(user, item, rating, cold)


def known_ratings(ratings: Ratings, protocol: Protocol, split: SplitSettings) -> Known:
    """Return the ratings that may be used before the test.

    In protocol `fair`, validation ratings choose, and training and validation ratings are fitted. In protocol
    `notebook` the validation ratings are the test ratings, so that a part of the training ratings chooses, none of
    which is of the same user and item as one of the rest.
    """
    if protocol == "fair":
        return Known.of(ratings.of, (ratings.train, KEPT), (ratings.validation, CHOOSING))
    pairs = pairs_of(ratings.user[ratings.train], ratings.item[ratings.train]) if ratings.repeats else None
    if pairs is None:
        _, choosing = divide(len(ratings.train), split.validation_size, split.split_seed)
    else:
        _, drawn = hold_out(pairs, np.arange(len(pairs.starts)), split.validation_size, split.split_seed)
        choosing = pairs.rows_of(drawn)
    bits = np.full(len(ratings.train), KEPT, np.uint8)
    bits[choosing] = CHOOSING
    return Known.of(ratings.of, (ratings.train, bits))


def repeats_across(
    ratings: Ratings, known: Known, test: Tested, fitted: PairCounts, scratch: Scratch = TEMPORARY
) -> dict[str, int]:
    """Return how many ratings are of a user and an item of whom another part of the split has a rating, too.

    These are `repeated_test_rows`, test ratings of pairs that are `fitted`, and `repeated_validation_rows`, ratings
    that choose of pairs that are fitted meanwhile.
    """
    if not ratings.repeats:
        return {"repeated_test_rows": 0, "repeated_validation_rows": 0}
    kept = PairCounts.of(known.kept, len(fitted.of_users), len(fitted.of_items), scratch)
    tested = sum(int(np.count_nonzero(fitted.has(*block))) for block in in_blocks(test.user, test.item))
    choosing = sum(int(np.count_nonzero(kept.has(user, item))) for user, item, _ in known.choosing)
    return {"repeated_test_rows": tested, "repeated_validation_rows": choosing}


def data_facts(ratings: Ratings, users: int, items: int, cold: int, data: Mapping[str, Any]) -> DataFacts:
    """Return the facts of the ratings, of which `cold` are cold test ratings; `data` are those they do not show."""
    rows = len(ratings.rating)
    singles, counts = value_counts(ratings.rating)
    values = singles.astype(np.float64)
    mean = float(values @ counts) / rows
    return DataFacts(
        rows=rows,
        users=users,
        items=items,
        density=rows / (users * items),
        train_rows=len(ratings.train),
        validation_rows=len(ratings.validation),
        test_rows=len(ratings.test),
        cold_test_rows=cold,
        rating_mean=mean,
        rating_sd=float(np.sqrt((values - mean) ** 2 @ counts / rows)),
        rating_min=float(values[0]),
        rating_max=float(values[-1]),
        histogram=_histogram(values, counts),
        **data,
    )


def _histogram(values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> list[RatingCount]:
    if len(values) <= MOST_VALUES:
        return [
            RatingCount(rating=float(str(np.float32(value))), upper=None, rows=int(count))
            for value, count in zip(values, counts, strict=True)
        ]
    binned, edges = np.histogram(values, bins=30, weights=counts)
    return [
        RatingCount(rating=float(low), upper=float(high), rows=int(count))
        for low, high, count in zip(edges[:-1], edges[1:], binned, strict=True)
    ]


def load_ratings(store: Store, data: Mapping[str, Manifest]) -> Ratings:
    """Map the ratings and their split into memory.

    `data` are the manifests of `codes`, `training` and `test`.

    Raises:
        NotEnoughMemory: there is too little to compare models on them.
    """
    rows = data["codes"]["facts"]["rows"]
    needed = rows * BYTES_PER_RATING + min(rows, MOST_IN_BLOCKS) * BYTES_IN_BLOCKS
    require_memory(f"Comparing on {rows:,} ratings", needed)
    arrays = store.paths(data["codes"], data["training"], data["test"])
    pairs = data["codes"]["facts"]["pairs"]
    return Ratings(
        **{name: np.load(arrays[name], mmap_mode="r") for name in ("user", "item", "rating", "train", "validation")},
        test=np.load(arrays["test"], mmap_mode="r"),
        users=arrays["users"],
        items=arrays["items"],
        repeats=pairs < rows,
    )


def load_models(store: Store, models: Models) -> tuple[dict[str, TrainedModel], dict[str, str]]:
    """Return the trained models, and the reasons of those that failed; one failed fit fails its model."""
    trained, failed = {}, {}
    for name, made in models.items():
        fits = {key: fit for key, fit in made.items() if not isinstance(fit, Exception)}
        if len(fits) < len(made):
            failed[name] = next(str(fit) for fit in made.values() if isinstance(fit, Exception))
            continue
        chosen = fits.pop(CHOSEN, None)
        trained[name] = TrainedModel(
            fits=[Fitted(int(seed), store.path(fit, MODEL[name].file), fit["facts"]) for seed, fit in fits.items()],
            chosen=chosen["facts"] if chosen else None,
            validation=store.paths(chosen).get("validation") if chosen else None,
        )
    return trained, failed
