"""Runs that are long enough to be interrupted, and what they leave."""

import json
from pathlib import Path
from typing import Any

from recsys.settings import Settings
from tests.factories import small_settings
from tests.processes import PATIENCE, kill, started, until

MANY_EPOCHS = 2_000

OF_THE_CLOCK = {
    "ended",
    "energy_unmeasured",
    "fit_seconds",
    "headline",
    "measured",
    "peak_mb",
    "predict_microseconds",
    "seconds",
    "seconds_used",
    "started",
    "time_ratio",
    "use",
    "watt_hours",
    "worth",
}
"""Fields of a comparison that differ from run to run, and of the answers and checks that tell of them."""

OF_THE_HISTORY = {"test-read-before", "data-drift", "error-drift", "model-changed"}
"""Names of checks that look at the runs before."""

IMPATIENT = {"PREFECT_CLIENT_MAX_RETRIES": "1"}
"""So that a run gives a server up within seconds, and not within minutes."""

PATIENT = {"PREFECT_CLIENT_MAX_RETRIES": "9"}
"""So that a server may take minutes to come back."""


def long_settings(ratings: Path, place: Path) -> Settings:
    """Return settings of a run of which one training, that of MF, has many epochs, and the others one."""
    return small_settings(
        ratings,
        place,
        protocol="notebook",
        mf={"epochs": MANY_EPOCHS},
        dnn={"epochs": 1},
        dnn_tuned={"epochs": 1},
        ranking={"ranking_users": 0},
    )


def checkpoint(settings: Settings) -> Path | None:
    """Return the checkpoint of the long training once there is one."""
    found = (Path(settings.output.store) / "checkpoints").glob("*/epoch-*")
    return next((path for path in found if int(path.name.removeprefix("epoch-")) > 1), None)


def config(settings: Settings, path: Path) -> list[str]:
    """Write settings into a file and return the options of the command line that read it."""
    path.write_text(settings.model_dump_json())  # JSON is YAML
    return ["--config", str(path)]


def numbers(settings: Settings) -> Any:
    """Return everything of a run's comparison that does not hang on the clock, or on the runs before it."""
    path = Path(settings.output.reports) / "run" / "comparison.json"
    comparison = json.loads(path.read_text(), object_hook=_without_times)
    del comparison["history"]
    comparison["checks"] = [check for check in comparison["checks"] if check["name"] not in OF_THE_HISTORY]
    return comparison


def _without_times(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in OF_THE_CLOCK}


class Run:
    """A run of the command line under way."""

    def __init__(self, settings: Settings, environment: dict[str, str], *further: str) -> None:
        """Begin it, with further options."""
        self.settings = settings
        place = Path(settings.output.store).parent
        place.mkdir(exist_ok=True)
        self._output = place / "output"
        self._output.unlink(missing_ok=True)
        options = config(settings, place / "run.yaml")
        self.process = started("flows/compare.py", *options, *further, environment=environment, output=self._output)

    def come_to_its_long_training(self) -> None:
        """Return once that has kept an epoch, and not ended."""
        try:
            until(lambda: checkpoint(self.settings) or self.process.poll() is not None, "a checkpoint")
            assert self.process.poll() is None, self.said()
        except AssertionError:
            kill(self.process)
            raise

    def ends(self) -> int:
        """Wait for the end and return the exit code."""
        try:
            return self.process.wait(3 * PATIENCE)
        finally:
            kill(self.process)

    def said(self) -> str:
        return self._output.read_text()
