"""A comparison's ratings and models, from the store."""

from collections.abc import Mapping

import numpy as np

from recsys.evaluation.ratings import Ratings
from recsys.evaluation.rows import Fitted, TrainedModel
from recsys.room import require
from recsys.store import Manifest, Store

BYTES_PER_RATING = 58
"""What a comparison holds at its peak, most of it for the biases, measured on 20 million ratings."""

Made = Manifest | Exception
"""An artefact, or why there is none."""

Models = Mapping[str, Mapping[str, Made]]
"""Row -> its fits, by seed, and as `chosen` the fit that chose their number of epochs, where that is another."""

CHOSEN = "chosen"


def load_ratings(store: Store, data: Mapping[str, Manifest]) -> Ratings:
    """Map the ratings and their split into memory.

    Args:
        store: where the artefacts are.
        data: manifests of `codes`, `training` and `test`.

    Raises:
        NotEnoughMemory: there is no room to compare models on them.
    """
    rows = data["codes"]["facts"]["rows"]
    require(f"Comparing on {rows:,} ratings", rows * BYTES_PER_RATING)
    arrays = store.paths(data["codes"], data["training"], data["test"])
    return Ratings(
        **{name: np.load(arrays[name], mmap_mode="r") for name in ("user", "item", "rating", "train", "validation")},
        test=np.load(arrays["test"], mmap_mode="r"),
        users=arrays["users"],
        items=arrays["items"],
    )


def load_models(store: Store, models: Models) -> tuple[dict[str, TrainedModel], dict[str, str]]:
    """Return the trained models, and of the others why there are none: a model without one of its fits is none."""
    trained, failed = {}, {}
    for name, made in models.items():
        reasons = [str(fit) for fit in made.values() if isinstance(fit, Exception)]
        fits = {key: fit for key, fit in made.items() if not isinstance(fit, Exception)}
        if reasons:
            failed[name] = reasons[0]
            continue
        chosen = fits.pop(CHOSEN, None)
        trained[name] = TrainedModel(
            fits=[Fitted(int(seed), store.path(fit, "model.keras"), fit["facts"]) for seed, fit in fits.items()],
            chosen=chosen["facts"] if chosen else None,
            validation=store.paths(chosen).get("validation") if chosen else None,
        )
    return trained, failed
