"""The searches of all tuned models, side by side."""

from functools import partial
from typing import Any

from flows.executor import Interpreter
from recsys.models.specs import TUNED
from recsys.seeding import derive_seed
from recsys.settings import Settings
from recsys.store.store import Store
from recsys.tuning.cache import remembered_search
from recsys.tuning.search import Found, search
from tasks.train import TRY


def tune(settings: Settings, dag: Interpreter, **arguments: Any) -> dict[str, Found | Any]:
    """Search the settings of each tuned model on validation rows, with the same budget, and return what was found.

    Args:
        settings: the run's.
        dag: has the trials trained; of a search with a trial whose result is not known, the result is not known.
        arguments: what every trial is given.
    """
    store = Store(settings.output.store)
    begin = search if settings.refresh else partial(remembered_search, store)
    searches = {
        spec.name: begin(
            spec.name,
            spec.title,
            spec.space,
            settings.of(spec),
            settings.tuning,
            derive_seed(settings.seed, spec.name, "search"),
        )
        for spec in TUNED
        if spec.space
    }
    asked = {name: next(searching) for name, searching in searches.items()}
    found: dict[str, Found | Any] = {}
    while asked:
        attempts = [(name, attempt) for name, attempts in asked.items() for attempt in attempts]
        outcomes = dag.gather(
            [
                (TRY[name], {"number": attempt.number, "settings": attempt.settings, **arguments})
                for name, attempt in attempts
            ]
        )
        for name in list(asked):
            of_model = [outcome for (model, _), outcome in zip(attempts, outcomes, strict=True) if model == name]
            unknown = dag.unknown(of_model)
            try:
                if unknown is not None:
                    found[name] = unknown
                    del asked[name]
                else:
                    asked[name] = searches[name].send(of_model)
            except StopIteration as end:
                found[name] = end.value
                del asked[name]
    return found
