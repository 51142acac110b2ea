"""The flows that use the model to use: `predict`, `recommend` and `recommend_nightly`."""

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.access import check_paths, require_allowed
from flows.compare import compare
from flows.executor import executor
from recsys.report.publish import WINNER, publish
from recsys.settings import ScalingSettings
from recsys.store.artifacts import copy_atomically
from recsys.store.store import Manifest, Store
from recsys.winner.about import ABOUT
from recsys.winner.settings import NightlyRun, PredictRun, RecommendRun
from recsys.winner.tables import require_output
from tasks import winner as tasks

LISTS = "lists.parquet"


@flow(name="predict", flow_run_name="predict {settings.pairs}")
def predict(settings: PredictRun) -> str:
    """Predict the ratings of a file of pairs with the model to use, and return the path of the predictions."""
    files = {"pairs": settings.pairs, "ratings_of_new_users": settings.ratings_of_new_users}
    require_allowed({"winner": settings.winner, "out": settings.out, "store": settings.store, **files})
    out = require_output(Path(settings.out).expanduser())
    with executor(settings.store, ScalingSettings(), refresh=False) as dag:
        made = dag.run(
            tasks.predict,
            about=_about(settings.winner),
            pairs=_path(settings.pairs),
            new_users=_path(settings.ratings_of_new_users),
            settings=settings,
            ending=out.suffix,
            store=settings.store,
        )
    return _written(made, settings.store, out)


@flow(name="recommend", flow_run_name="recommend {settings.top} items")
def recommend(settings: RecommendRun) -> str:
    """Write lists of recommended items with the model to use, and return their path."""
    from recsys.winner.lists import users_file

    users = users_file(settings.users)
    new_users = settings.ratings_of_new_users
    files = {"users": users, "items": settings.items, "exclude_rated": settings.exclude_rated, "new": new_users}
    require_allowed({"winner": settings.winner, "out": settings.out, "store": settings.store, **files})
    out = require_output(Path(settings.out).expanduser())
    with executor(settings.store, ScalingSettings(), refresh=False) as dag:
        made = dag.run(
            tasks.recommend,
            about=_about(settings.winner),
            users=_path(users),
            ids=None if users else settings.users,
            items=_path(settings.items),
            rated=_path(settings.exclude_rated),
            new_users=_path(new_users),
            settings=settings,
            ending=out.suffix,
            store=settings.store,
        )
    return _written(made, settings.store, out)


@flow(name="recommend_nightly", flow_run_name="lists after {settings.comparison.title}")
def recommend_nightly(settings: NightlyRun) -> State[str | None]:
    """Write lists of all users if the ratings have changed, with the new winner or the one that has been in use.

    The comparison is taken from the store where it has been made. The winner in use and its lists are in the folder
    of the report's name and "-champion".

    Returns:
        A completed state with the folder, named "Completed" where lists were written, "Kept" where the winner in use
        stays, and "Unchanged" where its ratings are those of the report.
    """
    from recsys.winner.succession import decide, is_decided, remember

    comparison = settings.comparison
    check_paths(comparison)
    report = Path(compare(comparison))
    champion = report.with_name(f"{report.name}-champion")
    in_use = champion / WINNER if (champion / WINNER / ABOUT).is_file() else None
    store = Store(comparison.output.store)
    if in_use and is_decided(store, report):
        return _completed("Unchanged", f"The ratings have not changed: the lists in {champion} stay.", champion)
    decision = decide(report, in_use)
    if decision.outcome == "kept":
        remember(store, decision)
        return _completed("Kept", decision.reason, champion)
    with executor(comparison.output.store, ScalingSettings(), refresh=False) as dag:
        asked = RecommendRun(winner=str(report / WINNER), out=LISTS, top=settings.top)
        none: dict[str, Any] = dict.fromkeys(("users", "items", "rated", "new_users"))
        given = {"ids": "all", "ending": ".parquet", "store": comparison.output.store, **none}
        made = dag.run(tasks.recommend, about=_about(str(report / WINNER)), settings=asked, **given)
    files = {path.relative_to(report).as_posix(): path for path in (report / WINNER).rglob("*") if path.is_file()}
    lists = store.path(made, LISTS)
    publish({**files, LISTS: lists}, champion.parent, champion.name, f"{WINNER}/{ABOUT}", newest=False)
    remember(store, decision)
    return _completed("Completed", f"{decision.reason} Lists: {champion / LISTS}", champion)


def _path(given: str | None) -> str | None:
    return given and str(Path(given).expanduser().absolute())


def _about(winner: str) -> str:
    return str(Path(winner).expanduser().absolute() / ABOUT)


def _written(made: Manifest, store: str, out: Path) -> str:
    """Copy the files of a manifest to where they are wanted, say what is in them, and return the path of one."""
    for path in Store(store).files(made).values():
        copy_atomically(path, out.absolute().with_suffix(path.suffix))
    for sentence in made["facts"]["said"]:
        get_run_logger().info(sentence)
    return str(out)


def _completed(name: str, message: str, folder: Path) -> State[str | None]:
    get_run_logger().info(message)
    return Completed(name=name, message=message, data=str(folder))
