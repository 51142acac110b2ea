"""The search of both families, side by side."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from prefect import Task

from flows.executor import Interpreter
from recsys.evaluation.titles import TITLES
from recsys.seeding import derive_seed
from recsys.settings import Settings
from recsys.store.store import Store
from recsys.tuning.cache import remembered_search
from recsys.tuning.distributions import DNN, MF
from recsys.tuning.search import Found, search
from tasks.train_dnn_tuned import try_dnn
from tasks.train_mf_tuned import try_mf

TRIED_BY: Mapping[str, Task[..., Any]] = {MF.name: try_mf, DNN.name: try_dnn}


def tune(settings: Settings, dag: Interpreter, **arguments: Any) -> dict[str, Found | Any]:
    """Search the settings of each family on validation rows, with the same budget, and return what was found.

    Args:
        settings: the run's.
        dag: has the trials trained; of a search with a trial whose result is not known, the result is not known.
        arguments: what every trial is given.
    """
    store = Store(settings.output.store)
    begin = search if settings.refresh else partial(remembered_search, store)
    searches = {
        family.name: begin(
            family,
            TITLES[family.name],
            family.defaults(settings),
            settings.tuning,
            derive_seed(settings.seed, family.name, "search"),
        )
        for family in (MF, DNN)
    }
    asked = {name: next(searching) for name, searching in searches.items()}
    found: dict[str, Found | Any] = {}
    while asked:
        attempts = [(name, attempt) for name, attempts in asked.items() for attempt in attempts]
        outcomes = dag.gather(
            [
                (TRIED_BY[name], {"number": attempt.number, "settings": attempt.settings, **arguments})
                for name, attempt in attempts
            ]
        )
        for name in list(asked):
            of_family = [outcome for (family, _), outcome in zip(attempts, outcomes, strict=True) if family == name]
            unknown = dag.unknown(of_family)
            try:
                if unknown is not None:
                    found[name] = unknown
                    del asked[name]
                else:
                    asked[name] = searches[name].send(of_family)
            except StopIteration as end:
                found[name] = end.value
                del asked[name]
    return found
