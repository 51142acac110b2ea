"""What `prefect.yaml` declares."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from recsys.settings import Settings

ROOT = Path(__file__).parent.parent
"""The project's folder, in which its runs work: relative paths begin there."""

FILE = ROOT / "deployments" / "prefect.yaml"


@dataclass(frozen=True)
class Declared:
    """A deployment of the file.

    Attributes:
        name: the deployment's.
        entrypoint: file:flow, the file relative to the project's folder.
        description: Markdown.
        tags: of its runs.
        parameters: of its flow.
        schedules: in the words of the file.
        concurrency_limit: `limit` and `collision_strategy`.
        pool: name of the work pool.
    """

    name: str
    entrypoint: str
    description: str
    tags: list[str]
    parameters: dict[str, Any]
    schedules: list[dict[str, Any]]
    concurrency_limit: dict[str, Any]
    pool: str

    @property
    def full_name(self) -> str:
        """Flow and deployment, as Prefect's commands name them."""
        return f"{self.entrypoint.rpartition(':')[2]}/{self.name}"

    @property
    def settings(self) -> Settings:
        """The settings that its runs have if nobody changes them."""
        return Settings.model_validate(self.parameters["settings"])

    @property
    def store_limit(self) -> str:
        """Name of the concurrency limit that it shares with the other deployments on its store."""
        store = self.settings.output.store
        place = store if "://" in store else str((ROOT / Path(store).expanduser()).resolve())
        return f"store {place.rpartition('/')[2]} {hashlib.sha256(place.encode()).hexdigest()[:8]}"

    @property
    def folder(self) -> Path | None:
        """The folder into which its ratings are delivered; None if it reads a file, or a public data set."""
        ratings = self.settings.data.ratings
        return ROOT / ratings if ratings and not Path(ratings).suffix else None

    @property
    def when(self) -> str:
        """When it runs by itself, in a few words."""
        return ", ".join(map(_told, self.schedules)) or "when somebody starts it"


@cache
def declared() -> tuple[Declared, ...]:
    """Return the deployments of the file."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return tuple(
        Declared(
            name=one["name"],
            entrypoint=one["entrypoint"],
            description=one["description"],
            tags=one["tags"],
            parameters=one["parameters"],
            schedules=one.get("schedules", []),
            concurrency_limit=one["concurrency_limit"],
            pool=one["work_pool"]["name"],
        )
        for one in content["deployments"]
    )


def _told(schedule: dict[str, Any]) -> str:
    time = f"cron {schedule['cron']}" if "cron" in schedule else f"every {schedule['interval'] / 60:g} minutes"
    return f"{time} {schedule['timezone']}" + ("" if schedule["active"] else " (off)")
