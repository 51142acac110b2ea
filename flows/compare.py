"""The flow `compare`: does a deep network predict these ratings better than matrix factorisation?

python flows/compare.py --help
"""

if __name__ == "__main__":
    from flows.command_line import main

    main()  # never returns: the command line imports this module once its streams are prepared

from functools import partial
from typing import Any

from prefect import flow

from flows.access import check_paths
from flows.executor import Interpreter, executor
from flows.notify import announce_run, notify_changed_verdict, notify_failure
from recsys.data.source import Source, locate
from recsys.models.settings import FitSettings
from recsys.models.specs import MODELS, NOTEBOOK, TUNED
from recsys.seeding import derive_seed
from recsys.settings import Settings, SplitSettings
from recsys.store.store import Store
from recsys.tuning.cache import remembered_search
from recsys.tuning.search import Found, search
from tasks.data import download, encode, ingest, split
from tasks.report import report, score
from tasks.train import TRAIN, TRY, choosing


def wire(settings: Settings, source: Source, dag: Interpreter) -> Any:
    """Wire the tasks; what `dag` makes of each, running or planning, is its own affair."""
    store = settings.output.store
    titles = source.titles and str(source.titles.absolute())

    ratings = dag.run(ingest, ratings=str(source.ratings.absolute()), data=source.settings, store=store)
    encoded = dag.run(encode, ratings=ratings, titles=titles, duplicates=settings.data.duplicates, store=store)
    judged = wire_split(settings, settings.split, encoded, dag)
    others = {}
    for other in settings.other_splits:
        trained = wire_split(settings, other, encoded, dag)
        given = {"data": trained["data"], "models": trained["models"], "settings": settings, "store": store}
        others[f"{other.split_by} {other.split_seed}"] = dag.submit(score, split=other, **given)
    return dag.submit(
        report,
        data={"ratings": ratings, **judged["data"]},
        models=judged["models"],
        tuning=judged["tuning"],
        others=others,
        settings=settings,
        source={"name": source.name, "label": source.label, "licence": source.licence},
        store=store,
    )


def wire_split(settings: Settings, how: SplitSettings, encoded: Any, dag: Interpreter) -> dict[str, Any]:
    """Wire all that is trained under one split, up to the door of the test rows."""
    codes, times = encoded["codes"], encoded["times"] if how.by_time else None
    store, protocol = settings.output.store, settings.protocol
    parts = dag.run(split, codes=codes, times=times, settings=how, protocol=protocol, store=store)
    given = {"codes": codes, "training": parts["training"], "engine": settings.engine, "store": store}
    data = {"codes": codes, "training": parts["training"], "test": parts["test"]}

    def fits(name: str, model: FitSettings, chosen: Any = None) -> dict[str, Any]:
        wired = {"chosen": chosen} if chosen else {}
        for seed in settings.seeds:
            wired[str(seed)] = dag.submit(TRAIN[name], settings=model, seed=seed, chosen=chosen, **given)
        return wired

    if protocol == "notebook":
        models = {spec.name: fits(spec.name, settings.of(spec)) for spec in NOTEBOOK}
        return {"data": data, "models": models, "tuning": []}

    plain = {spec.name: settings.of(spec) for spec in MODELS if not spec.space}
    first = {  # all begin before any goes on
        name: dag.submit(choosing(TRAIN[name]), settings=model, seed=settings.seed, chosen=None, **given)
        for name, model in plain.items()
    }
    models = {name: fits(name, model, first[name]) for name, model in plain.items()}
    found = tune(settings, dag, seed=settings.seed, **given)
    models |= {name: fits(name, one.settings, one.chosen) for name, one in found.items()}
    return {"data": data, "models": models, "tuning": [one.tuning for one in found.values()]}


def tune(settings: Settings, dag: Interpreter, **arguments: Any) -> dict[str, Found | Any]:
    """Search the settings of each tuned model on validation rows, with the same budget, and return what was found.

    Each trial is given `arguments`. Of a search with a trial whose result `dag` does not know, the result is unknown.
    """
    begin = search if settings.refresh else partial(remembered_search, Store(settings.output.store))
    searches = {}
    for spec in TUNED:
        if spec.space:
            seed = derive_seed(settings.seed, spec.name, "search")
            space, model = spec.space, settings.of(spec)
            searches[spec.name] = begin(spec.name, spec.title, space, model, settings.tuning, seed)
    asked = {name: next(searching) for name, searching in searches.items()}
    found: dict[str, Found | Any] = {}
    while asked:
        attempts = [(name, attempt) for name, attempts in asked.items() for attempt in attempts]
        calls = [(TRY[name], {"number": one.number, "settings": one.settings, **arguments}) for name, one in attempts]
        outcomes = dag.gather(calls)
        for name in list(asked):
            of_model = [outcome for (model, _), outcome in zip(attempts, outcomes, strict=True) if model == name]
            unknown = dag.unknown(of_model)
            try:
                if unknown is None:
                    asked[name] = searches[name].send(of_model)
                    continue
                found[name] = unknown
            except StopIteration as end:
                found[name] = end.value
            del asked[name]
    return found


@flow(
    name="compare", flow_run_name="compare {settings.title}", on_failure=[notify_failure], on_crashed=[notify_failure]
)
def compare(settings: Settings = Settings()) -> str:
    """Compare matrix factorisation and deep networks on one set of ratings, and return the report's folder.

    A model that fails leaves the others and the report alone, and fails the run at its end.
    """
    check_paths(settings)
    settings = settings.anchored
    if settings.data.is_downloaded:
        download(settings.data)
    source = locate(settings.data)
    announce_run(settings, source)
    with executor(settings.output.store, settings.scaling, refresh=settings.refresh) as dag:
        folder: str = dag.finish(wire(settings, source, dag))
    notify_changed_verdict(settings, folder)
    return folder
