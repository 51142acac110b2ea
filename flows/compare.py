"""The flow `compare`: does a deep network predict these ratings better than matrix factorisation?

python flows/compare.py --help
"""

if __name__ == "__main__":
    from flows.command_line import main

    main()  # never returns: the command line imports this module once its streams are prepared

from typing import Any

from prefect import flow

from flows.access import check_paths
from flows.executor import Executor, Interpreter
from flows.notify import announce_run, notify_changed_verdict, notify_failure
from flows.search import tune
from recsys.data.source import Source, locate
from recsys.models.settings import FitSettings
from recsys.models.specs import MODELS, NOTEBOOK
from recsys.settings import Settings, SplitSettings
from tasks.data import download, encode, ingest, split
from tasks.report import report, score
from tasks.train import TRAIN, choosing


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
        name = f"{other.split_by} {other.split_seed}"
        others[name] = dag.submit(
            score, data=trained["data"], models=trained["models"], split=other, settings=settings, store=store
        )
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
        again = {
            str(seed): dag.submit(TRAIN[name], settings=model, seed=seed, chosen=chosen, **given)
            for seed in settings.seeds
        }
        return {"chosen": chosen, **again} if chosen else again

    def chosen(name: str, model: FitSettings) -> Any:
        return dag.submit(choosing(TRAIN[name]), settings=model, seed=settings.seed, chosen=None, **given)

    if protocol == "notebook":
        return {
            "data": data,
            "models": {spec.name: fits(spec.name, settings.of(spec)) for spec in NOTEBOOK},
            "tuning": [],
        }

    plain = {spec.name: settings.of(spec) for spec in MODELS if not spec.space}
    first = {name: chosen(name, model) for name, model in plain.items()}  # all begin before any goes on
    models = {name: fits(name, model, first[name]) for name, model in plain.items()}
    found = tune(settings, dag, seed=settings.seed, **given)
    models |= {name: fits(name, one.settings, one.chosen) for name, one in found.items()}
    return {"data": data, "models": models, "tuning": [one.tuning for one in found.values()]}


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
    with Executor(settings.output.store, settings.scaling, refresh=settings.refresh) as dag:
        folder: str = dag.finish(wire(settings, source, dag))
    notify_changed_verdict(settings, folder)
    return folder
