"""Which places a run that others have asked for may read and write.

Who calls the command line may do with it what the system lets them. A run of a deployment has been asked for through
Prefect's API, by whoever can reach that: it may use the project's folder, what is not hidden in the home folder of the
worker's user, the places that are the defaults of settings, and what its worker has been told in MF_OR_DNN_PLACES.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from prefect.context import FlowRunContext

from recsys.errors import BadSettings
from recsys.settings import Settings

PLACES = "MF_OR_DNN_PLACES"
"""Environment variable of a worker: further folders, and URLs of stores, with semicolons between them."""

PROJECT = Path(__file__).resolve().parent.parent


def check_places(settings: Settings) -> None:
    """Look whether a run of a deployment stays where it may.

    Raises:
        BadSettings: it does not.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.deployment_id is None:
        return
    for name, place in _places(settings):
        if not _allowed(place):
            raise BadSettings(
                f"{name} leads out of the places that a deployment's run may use: choose one in the project's folder "
                f"or, not hidden, in the home folder of the worker's user, or start the worker with it in {PLACES}."
            )


def _places(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every place that a run reads or writes, by the name of its setting, where that is not the default."""
    output, default = settings.output, Settings()
    report = str(Path(output.reports, output.name)) if output.name else output.reports
    given = {
        "data.ratings": (settings.data.ratings, default.data.ratings),
        "data.downloads": (settings.data.downloads, default.data.downloads),
        "output.reports": (report, default.output.reports),
        "output.store": (output.store, default.output.store),
    }
    for name, (place, usual) in given.items():
        if place is not None and place != usual:
            yield name, place


def _allowed(place: str) -> bool:
    told = [further for further in os.environ.get(PLACES, "").split(";") if further]
    if "://" in place and not place.startswith(("file://", "local://")):
        urls = [further.rstrip("/") for further in told if "://" in further]
        return ".." not in place.split("/") and any(place == url or place.startswith(f"{url}/") for url in urls)
    path = _resolved(place.partition("://")[2] or place)
    if any(path.is_relative_to(folder) for folder in (PROJECT, *map(_resolved, told))):
        return True
    home = Path.home().resolve()
    return path.is_relative_to(home) and not any(part.startswith(".") for part in path.relative_to(home).parts)


def _resolved(path: str) -> Path:
    """Where a path leads in the end, links followed."""
    return Path(path).expanduser().resolve()
