"""The flow `compare`: does a deep network predict these ratings better than matrix factorisation?

python flows/compare.py --help
"""

if __name__ == "__main__":
    import sys
    from importlib.util import find_spec
    from pathlib import Path

    here, installed = Path(__file__).resolve().parent, find_spec("flows")
    there = Path(installed.origin).parent if installed and installed.origin else None
    if there is None or not here.samefile(there):  # the folder was copied or moved
        code = f"runs the code of {there.parent}, not that" if there else "does not find the code"
        remedy = "make compare, called in that folder, makes an environment for it."
        print(f"compare: {sys.executable} {code} of {here.parent}: {remedy}", file=sys.stderr)
        sys.exit(2)

    from flows.command_line import main

    main()  # never returns: the command line imports this module once its streams are prepared

from collections.abc import Sequence
from functools import partial
from typing import Any

from prefect import flow

from flows.access import check_paths
from flows.executor import Interpreter, executor
from flows.notify import announce_run, notify_changed_verdict, notify_failure
from flows.outcome import noting_outcome
from flows.runners import environment_of_workers
from recsys.data.source import Source, locate
from recsys.evaluation.results import winners_of
from recsys.models.search_space import DataSize
from recsys.models.settings import FitSettings
from recsys.models.specs import BLEND, FAMILIES, MODEL, MODELS, MOST_FOR_HISTORIES, NOTEBOOK, TUNED, Family
from recsys.report.checks import require_known
from recsys.seeding import derive_seed
from recsys.settings import Settings, SplitSettings
from recsys.store.store import Store
from recsys.tuning.cache import remembered_search
from recsys.tuning.members import Families, allowance, left_out, searched_families
from recsys.tuning.search import Found, expected_attempts, search
from recsys.tuning.standard_error import squared_errors
from recsys.winner.choice import Choice, model_to_use, remembered_choice
from tasks.data import download, encode, ingest, split, subsample
from tasks.progress import Event, report_event
from tasks.report import report, score
from tasks.train import TRAIN, TRY, choosing, on_share, reading, refitting
from tasks.winner import blend, use_all, winner

SHARES = (0.1, 0.2, 0.4, 0.7)
"""Of the training and validation ratings, beside all, that a learning curve is drawn through."""

NO_DATA = DataSize(ratings=1, users=1, items=1)


def wire(settings: Settings, source: Source, dag: Interpreter) -> Any:
    """Wire the tasks; what `dag` makes of each, running or planning, is its own affair."""
    require_known(settings.output.mute)
    store = settings.output.store
    titles = source.titles and str(source.titles.absolute())

    ratings = dag.run(ingest, ratings=str(source.ratings.absolute()), data=source.settings, store=store)
    encoded = dag.run(encode, ratings=ratings, titles=titles, duplicates=settings.data.duplicates, store=store)
    judged = wire_split(settings, settings.split, encoded, dag)
    others = {}
    for other in settings.other_splits:
        trained = wire_split(settings, other, encoded, dag)
        given = {name: trained[name] for name in ("data", "models", "winners")}
        others[f"{other.split_by} {other.split_seed}"] = dag.submit(
            score, **given, split=other, settings=settings, store=store
        )
    return dag.submit(
        report,
        data={"ratings": ratings, **judged["data"]},
        models=judged["models"],
        tuning=judged["tuning"],
        others=others,
        winner=wire_winner(settings, judged, dag),  # first, as it takes longer
        histories=wire_histories(settings, judged, dag),
        learning_curve=wire_learning_curve(settings, judged, dag),
        left_out=judged["left_out"],
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

    def fits(
        name: str, model: FitSettings, chosen: Any = None, seeds: Sequence[int] = settings.seeds
    ) -> dict[str, Any]:
        wired = {"chosen": chosen} if chosen else {}
        for seed in seeds:
            wired[str(seed)] = dag.submit(TRAIN[name], settings=model, seed=seed, chosen=chosen, **given)
        return wired

    if protocol == "notebook":
        models = {spec.name: fits(spec.name, settings.of(spec)) for spec in NOTEBOOK}
        return {
            "data": data,
            "models": models,
            "tuning": [],
            "winners": {},
            "chosen": {},
            "found": {},
            "given": given,
            "left_out": {},
            "size": NO_DATA,
        }

    plain = {spec.name: settings.of(spec) for spec in MODELS if not spec.space}
    first = {  # all begin before any goes on
        name: dag.submit(choosing(TRAIN[name]), settings=model, seed=settings.seed, chosen=None, **given)
        for name, model in plain.items()
    }
    chosen = {name: (model, first[name]) for name, model in plain.items()}
    models = {name: fits(name, *chosen[name], settings.seeds[:1]) for name in plain}
    size = _size(codes, parts["training"], dag)
    missing = left_out(settings, size)
    for name, reason in missing.items():
        report_event(Event(TRAIN[name].name, "left out", reason))
    families = searched_families(settings, size, missing)
    found = tune(settings, families, size, dag, seed=settings.seed, **given)
    for family, members in families.items():
        known = dag.unknown([found[family]]) is None
        best = found[family].tuning.name if known else members[0].name
        for name in (member.name for member in members):
            row = found[family].rows[name]
            chosen[name] = row.settings, row.fit
            models[name] = fits(name, *chosen[name], settings.seeds if name == best else settings.seeds[:1])
    tuning = [one.tuning for one in found.values()]
    winners = {} if dag.unknown(tuning) else winners_of(tuning)
    trained = {"data": data, "models": models, "tuning": tuning, "winners": winners, "found": found, "chosen": chosen}
    return {**trained, "given": given, "left_out": missing, "size": size}


def wire_winner(settings: Settings, trained: dict[str, Any], dag: Interpreter) -> Any:
    """Wire the model to use: its fit to all ratings, or the scored one, and its folder; None where nothing can be."""
    choice = _model_to_use(settings, trained, dag)
    if choice is None:
        return None
    data, store = trained["data"], settings.output.store
    codes, fitted = data["codes"], data["training"]
    if settings.winner.refit:
        fitted = dag.submit(use_all, training=data["training"], test=data["test"], store=store)
    rows = {"codes": codes, "training": data["training"], "fitted": fitted}
    members, weighed = [choice.name], None
    if choice.name == BLEND:
        members = [name for name in trained["chosen"] if MODEL[name].blended]
        chosen = {name: trained["chosen"][name][1] for name in members}
        [weighed] = dag.gather([(blend, {"chosen": chosen, **rows, "store": store})])
        if isinstance(weighed, Exception):
            members = []
        elif dag.unknown([weighed]) is None:
            members = [name for name in members if name in weighed["facts"]["weights"]]

    def fits(name: str) -> dict[str, Any]:
        seeds = settings.seeds if choice.name == BLEND else settings.seeds[:1]
        scored = {str(seed): fit for seed in seeds if (fit := trained["models"][name].get(str(seed)))}
        if not settings.winner.refit:
            return scored
        task, (hyperparameters, fit) = refitting(TRAIN[name]), trained["chosen"][name]
        given = {**trained["given"], "training": fitted, "settings": hyperparameters, "chosen": fit}
        return {seed: dag.submit(task, seed=int(seed), **given) for seed in scored}

    return dag.submit(
        winner,
        name=choice.name,
        reason=choice.reason,
        models={name: fits(name) for name in members},
        blend=weighed,
        **rows,
        refitted=settings.winner.refit,
        seed=settings.seed,
        store=store,
    )


def _model_to_use(settings: Settings, trained: dict[str, Any], dag: Interpreter) -> Choice | None:
    found, used = trained["found"], settings.winner.use
    if used and (used in trained["chosen"] or (used == BLEND and found)):
        return Choice(used, "it was chosen with --use")
    if not found or used:  # it was left out, which has been told
        return None
    if dag.unknown(list(found.values())) is not None:
        return Choice(next(iter(trained["chosen"])), "")  # which one is not known yet
    codes, training = trained["data"]["codes"], trained["data"]["training"]
    store = Store(settings.output.store)
    errors = squared_errors(store, codes, training)
    return model_to_use(found, errors) if settings.refresh else remembered_choice(store, found, errors)


def wire_histories(settings: Settings, trained: dict[str, Any], dag: Interpreter) -> dict[str, dict[str, Any]]:
    """Wire what shows what the histories bring: a model of each family by those that it reads, with what was found."""
    wired: dict[str, dict[str, Any]] = {}
    if trained["size"].ratings > MOST_FOR_HISTORIES:
        return wired
    for spec in MODELS:
        if not spec.histories or spec.family not in trained["found"] or spec.name not in trained["models"]:
            continue
        found = trained["found"][spec.family].rows[spec.name].settings
        unknown = dag.unknown([found]) is not None
        for which in ("none", "user", "both"):
            model = found if unknown else spec.reading(found, which)
            task = reading(TRAIN[spec.name], which)
            fit = dag.submit(task, settings=model, seed=settings.seed, chosen=None, **trained["given"])
            wired.setdefault(spec.name, {})[which] = fit
    return wired


def wire_learning_curve(settings: Settings, trained: dict[str, Any], dag: Interpreter) -> dict[str, dict[str, Any]]:
    """Wire the fits of both winners to shares of the ratings: share -> its rows as `training`, and a fit by name."""
    names = _searched_winners(trained, dag)
    if not settings.evidence.learning_curve or len(names) < len(FAMILIES):
        return {}
    wired: dict[str, dict[str, Any]] = {}
    for share in SHARES:
        store = settings.output.store
        rows = dag.submit(subsample, training=trained["data"]["training"], share=share, seed=settings.seed, store=store)
        wired[str(share)] = {"training": rows}
        for name in names:
            model, chosen = trained["chosen"][name]
            given = {**trained["given"], "training": rows, "settings": model, "seed": settings.seed}
            train = on_share(TRAIN[name], share)
            if MODEL[name].chooses_epochs:  # those of the whole data would be too many or too few
                chosen = dag.submit(choosing(train), chosen=None, **given)
            wired[str(share)][name] = dag.submit(train, chosen=chosen, **given)
    return wired


def _searched_winners(trained: dict[str, Any], dag: Interpreter) -> list[str]:
    """The winner of each family that has one; where it is not known yet, the first of the family."""
    if dag.unknown(list(trained["found"].values())) is None:
        return list(trained["winners"].values())
    first = {spec.family: spec.name for spec in reversed(TUNED) if spec.name in trained["chosen"]}
    return list(first.values())


def _size(codes: Any, training: Any, dag: Interpreter) -> DataSize:
    """The size of the data; in a plan, where it is not known yet, that of next to none."""
    if dag.unknown([codes, training]) is not None:
        return NO_DATA
    facts = codes["facts"]
    return DataSize(ratings=training["facts"]["train_rows"], users=facts["users"], items=facts["items"])


def tune(
    settings: Settings, families: Families, size: DataSize, dag: Interpreter, **arguments: Any
) -> dict[Family, Found | Any]:
    """Search the models and settings of each family on validation rows, with the same budget; return what was found.

    Each trial is given `arguments`. Of a search with a trial whose result `dag` does not know, the result is unknown,
    and trials that are to be expected are gathered nevertheless, of unknown settings.
    """
    store = Store(settings.output.store)
    begin = search if settings.refresh else partial(remembered_search, store)
    allowed = allowance(settings, families, size)
    errors = squared_errors(store, arguments["codes"], arguments["training"])
    searches = {
        family: begin(family, members, allowed, derive_seed(settings.seed, family, "search"), errors)
        for family, members in families.items()
    }
    asked = {family: next(searching) for family, searching in searches.items()}
    found: dict[Family, Found | Any] = {}
    first = True
    while asked:
        attempts = [(family, attempt) for family, attempts in asked.items() for attempt in attempts]
        outcomes = dag.gather(
            [
                (
                    TRY[one.model],
                    {"number": one.number, "settings": one.settings, "sampled": one.sampled, **arguments},
                )
                for _, one in attempts
            ]
        )
        for family in list(asked):
            of_family = [outcome for (other, _), outcome in zip(attempts, outcomes, strict=True) if other == family]
            unknown = dag.unknown(of_family)
            try:
                if unknown is None:
                    asked[family] = searches[family].send(of_family)
                    continue
                found[family] = unknown
                later = expected_attempts(families[family], allowed) if first else []
                dag.gather([(TRY[one], {"number": 0, "settings": unknown, "sampled": 0, **arguments}) for one in later])
            except StopIteration as end:
                found[family] = end.value
            del asked[family]
        first = False
    return {family: found[family] for family in families}


@flow(
    name="compare", flow_run_name="compare {settings.title}", on_failure=[notify_failure], on_crashed=[notify_failure]
)
def compare(settings: Settings = Settings()) -> str:
    """Compare matrix factorisation and deep networks on one set of ratings, and return the report's folder.

    A model that fails leaves the others and the report alone, and fails the run at its end.
    """
    with noting_outcome() as outcome:
        check_paths(settings)
        settings = settings.anchored
        if settings.data.is_downloaded:
            download(settings.data)
        source = locate(settings.data)
        announce_run(settings, source)
        environment = environment_of_workers(settings)
        with executor(settings.output.store, settings.scaling, environment, refresh=settings.refresh) as dag:
            outcome.folder = folder = dag.finish(wire(settings, source, dag))
        notify_changed_verdict(settings, folder)
    return folder
