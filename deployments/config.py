"""The deployments that `prefect.yaml` declares."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from recsys.settings import Settings
from recsys.winner.settings import NightlyRun, PredictRun, RecommendRun

ROOT = Path(__file__).parent.parent
"""The project's folder, which is the working directory of all runs."""

FILE = ROOT / "deployments" / "prefect.yaml"

PARAMETERS: dict[str, type[Settings | NightlyRun | PredictRun | RecommendRun]] = {
    "compare": Settings,
    "compare_if_changed": Settings,
    "recommend_nightly": NightlyRun,
    "predict": PredictRun,
    "recommend": RecommendRun,
}
"""Flow -> what its parameter `settings` holds."""


class Deployment(BaseModel, frozen=True):
    """A deployment of the file, with the names and values that it has there."""

    name: str
    entrypoint: str
    description: str
    tags: list[str]
    parameters: dict[str, Any]
    schedules: list[dict[str, Any]] = []
    concurrency_limit: dict[str, Any]
    work_pool: dict[str, Any]

    @property
    def full_name(self) -> str:
        """Flow and deployment, as Prefect's commands name them."""
        return f"{self.entrypoint.rpartition(':')[2]}/{self.name}"

    @property
    def pool(self) -> str:
        """Name of the work pool."""
        return str(self.work_pool["name"])

    @property
    def settings(self) -> Settings | None:
        """The default settings of its comparisons; None if it makes none."""
        asked = self._asked
        if isinstance(asked, NightlyRun):
            return asked.comparison
        return asked if isinstance(asked, Settings) else None

    @property
    def store(self) -> str:
        """The store that its runs use."""
        asked = self._asked
        if isinstance(asked, NightlyRun):
            return asked.comparison.output.store
        return asked.output.store if isinstance(asked, Settings) else asked.store

    @property
    def _asked(self) -> Settings | NightlyRun | PredictRun | RecommendRun:
        return PARAMETERS[self.entrypoint.rpartition(":")[2]].model_validate(self.parameters["settings"])

    @property
    def store_limit(self) -> str:
        """Name of the concurrency limit that all deployments with the same store share."""
        store = self.store
        place = store if "://" in store else str((ROOT / Path(store).expanduser()).resolve())
        return f"store {place.rpartition('/')[2]} {hashlib.sha256(place.encode()).hexdigest()[:8]}"

    @property
    def folder(self) -> Path | None:
        """The folder into which its ratings are delivered; None if it reads a file or a public data set."""
        ratings = self.settings and self.settings.data.ratings
        return ROOT / ratings if ratings and not Path(ratings).suffix else None

    @property
    def when(self) -> str:
        """Its schedules in a few words."""
        return ", ".join(map(_described, self.schedules)) or "when somebody starts it"


@cache
def deployments() -> tuple[Deployment, ...]:
    """Return the deployments of the file."""
    declared = yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"]
    return tuple(map(Deployment.model_validate, declared))


def _described(schedule: dict[str, Any]) -> str:
    time = f"cron {schedule['cron']}" if "cron" in schedule else f"every {schedule['interval'] / 60:g} minutes"
    return f"{time} {schedule['timezone']}" + ("" if schedule["active"] else " (off)")
