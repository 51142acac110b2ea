"""The flow `compare`: does a deep network predict these ratings better than matrix factorisation?

python flows/compare.py --help
"""

import os
from typing import Any

from prefect import flow
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.running import Interpreter, Running
from recsys.data.sources import Source, locate
from recsys.settings import Settings
from tasks.encode import encode
from tasks.ingest import ingest
from tasks.progress import TaskProgress
from tasks.report import report
from tasks.split import split
from tasks.train_dnn import train_dnn
from tasks.train_dnn_tuned import train_dnn_tuned
from tasks.train_mf import train_mf
from tasks.train_mf_tuned import train_mf_tuned


def wire(settings: Settings, source: Source, run: Interpreter) -> Any:
    """Wire the tasks; what `run` makes of each, running or planning, is its own affair."""
    store = settings.output.store
    reading = settings.data.model_copy(update={"max_rows": source.max_rows})
    titles = source.titles and str(source.titles)

    ratings = run.now(ingest, ratings=str(source.ratings), data=reading, store=store)
    encoded = run.now(encode, ratings=ratings, titles=titles, duplicates=settings.data.duplicates, store=store)
    codes, times = encoded["codes"], encoded["times"] if settings.split.by_time else None
    parts = run.now(split, codes=codes, times=times, settings=settings.split, protocol=settings.protocol, store=store)

    rows = {"codes": codes, "training": parts["training"]}
    how = {"seed": settings.seed, "engine": settings.engine, "store": store}
    mf = run.soon(train_mf, settings=settings.mf, **rows, **how)
    dnn = run.soon(train_dnn, settings=settings.dnn, **rows, **how)
    dnn_tuned = run.soon(train_dnn_tuned, settings=settings.dnn_tuned, **rows, **how)
    models = {"mf": mf, "dnn": dnn, "dnn_tuned": dnn_tuned}
    if settings.protocol == "fair":
        models["mf_tuned"] = run.soon(train_mf_tuned, settings=settings.mf_tuned, **rows, **how)

    return run.soon(
        report,
        data={"ratings": ratings, "codes": codes, "training": parts["training"], "test": parts["test"]},
        models=models,
        settings=settings,
        source={"name": source.name, "label": source.label, "licence": source.licence},
        store=store,
    )


WORKERS: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=max(2, os.cpu_count() or 2))
"""As many trainings at once as there are cores, and never one branch alone."""


@flow(
    name="compare",
    flow_run_name="compare {settings.title}",
    task_runner=WORKERS,
)
def compare(settings: Settings = Settings()) -> str:
    """Compare matrix factorisation and deep networks on one set of ratings, and return the report's folder.

    A model that fails leaves the others and the report alone, and fails the run at its end.
    """
    run = Running(settings.output.store, refresh=settings.refresh)
    source = locate(settings.data, TaskProgress("download"))
    return run.finish(wire(settings, source, run))


if __name__ == "__main__":
    from flows.command_line import main

    main()
