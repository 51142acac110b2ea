"""Which paths the run of a deployment may read and write.

Who uses the command line may access whatever the system permits. The run of a deployment was started through Prefect's
API, by anybody who can reach that, so it may access: the project's folder, what is not hidden in the home folder of the
worker's user, the default paths of the settings, and what the worker's environment lists in MF_OR_DNN_PLACES.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from prefect.context import FlowRunContext

from recsys.errors import BadSettings
from recsys.parts import parts_of
from recsys.settings import Settings

ALLOWED_PATHS = "MF_OR_DNN_PLACES"
"""Environment variable of a worker: further folders, and URLs of stores, separated by semicolons."""

PROJECT = Path(__file__).resolve().parent.parent


def check_paths(settings: Settings) -> None:
    """Raise BadSettings if the run of a deployment is to access a path not allowed; other runs may access any."""
    output, default = settings.output, Settings()
    report = str(Path(output.reports, output.name)) if output.name else output.reports
    paths = {
        "data.ratings": (settings.data.ratings, default.data.ratings),
        "data.downloads": (settings.data.downloads, default.data.downloads),
        "output.reports": (report, default.output.reports),
        "output.store": (output.store, default.output.store),
    }
    require_allowed({name: path for name, (path, usual) in paths.items() if path != usual})
    for part in parts_of(Path(os.path.expanduser(settings.data.ratings or ""))):  # each may be a link
        require_allowed({"a part of data.ratings": str(part)})


def require_allowed(paths: Mapping[str, str | None]) -> None:
    """Raise BadSettings if the run of a deployment is to access one of these paths, by name, that is not allowed."""
    context = FlowRunContext.get()
    if not (context and context.flow_run and context.flow_run.deployment_id):
        return
    for name, path in paths.items():
        if path is not None and not _is_allowed(path):
            raise BadSettings(
                f"{name} is outside of the paths that a deployment's run may access: choose one in the project's "
                "folder or, not hidden, in the home folder of the worker's user, or start the worker with it in "
                f"{ALLOWED_PATHS}."
            )


def _is_allowed(path: str) -> bool:
    further = [entry for entry in os.environ.get(ALLOWED_PATHS, "").split(";") if entry]
    if "://" in path and not path.startswith(("file://", "local://")):
        urls = [entry.rstrip("/") for entry in further if "://" in entry]
        return ".." not in path.split("/") and any(path == url or path.startswith(f"{url}/") for url in urls)
    resolved, *others = (Path(one).expanduser().resolve() for one in (path.partition("://")[2] or path, *further))
    if any(resolved.is_relative_to(folder) for folder in (PROJECT, *others)):
        return True
    home = Path.home().resolve()
    return resolved.is_relative_to(home) and not any(part.startswith(".") for part in resolved.relative_to(home).parts)
