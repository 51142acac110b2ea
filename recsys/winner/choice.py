"""Which model of a comparison is the one to use, by its validation errors."""

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

from recsys.models.specs import MODEL, Family
from recsys.store.fingerprint import code_of
from recsys.store.store import Manifest, Store
from recsys.tuning.search import Found
from recsys.tuning.standard_error import SquaredErrors, is_better_by_chance


class Choice(NamedTuple):
    """A model's row in the comparison, and why it is the one to use, as the end of a sentence."""

    name: str
    reason: str


def model_to_use(found: Mapping[Family, Found], errors: SquaredErrors) -> Choice | None:
    """Return the winner of a search with the lowest validation loss, or a smaller one in a tie with it.

    Two are in a tie where the paired errors of their trials differ by no more than one standard error, and smaller is
    the one with fewer parameters. None where every trial failed.
    """
    fits = _fits(found)
    if not fits:
        return None
    losses = {name: errors(fit) for name, fit in fits.items()}
    best = min(fits, key=lambda name: float(losses[name].mean()))
    tied = [name for name in fits if name == best or is_better_by_chance(losses[best], losses[name])]
    parameters = {name: fits[name]["facts"]["parameters"] for name in tied}
    smallest = min(tied, key=lambda name: parameters[name])
    if smallest == best:
        return Choice(best, "of the models that stand for the two families, it has the lowest validation error")
    return Choice(
        smallest,
        f"on the validation ratings {MODEL[best].title} is better by less than one standard error, and has "
        f"{parameters[best]:,} parameters, not {parameters[smallest]:,}",
    )


def remembered_choice(store: Store, found: Mapping[Family, Found], errors: SquaredErrors) -> Choice | None:
    """Choose as `model_to_use` does, with a note in `store`, which spares reading the errors, and NumPy's import."""
    given = {name: fit["key"] for name, fit in _fits(found).items()} | code_of(["recsys.winner.choice"])
    note = f"choice-{hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:32]}"
    try:
        return Choice(*json.loads(store.noted(note) or b"null"))
    except (ValueError, TypeError):  # there is none that can be read
        choice = model_to_use(found, errors)
        if choice:
            store.note(note, json.dumps(choice).encode())
        return choice


def _fits(found: Mapping[Family, Found]) -> dict[str, Manifest]:
    """The trial that stands for each search's winner, where one did not fail."""
    winners = {searched.tuning.name: searched.rows[searched.tuning.name].fit for searched in found.values()}
    return {name: fit for name, fit in winners.items() if not isinstance(fit, Exception)}
