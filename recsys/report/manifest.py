"""What a report has on record: its comparison, and the manifest of its run, from which it can be replayed."""

import json
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from recsys.data.datasets import DATASETS, SAMPLE
from recsys.errors import BadManifest
from recsys.evaluation.metrics import ranking_keys, rating_metrics
from recsys.evaluation.results import Comparison, Tuning
from recsys.report.answer import headline
from recsys.settings import DataSettings, Settings
from recsys.store.fingerprint import PACKAGE, code_of, versions_of
from recsys.store.store import Manifest, content

CPUINFO = Path("/proc/cpuinfo")  # where Linux has the name of the processor; `platform` knows only its architecture


RATINGS = frozenset({"user.npy", "item.npy", "rating.npy"})
"""The encoded ratings; the other files, tables of ids, have other bytes in another version of a library."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Machine(_Record):
    """A computer; `memory_gb` is in 10⁹ bytes, `cores` None where unknown."""

    python: str
    system: str
    processor: str
    cores: int | None
    memory_gb: float


def this_machine() -> Machine:
    """Return the computer that this runs on."""
    return Machine(
        python=platform.python_version(),
        system=platform.platform(),
        processor=processor_name(),
        cores=os.cpu_count(),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
    )


def processor_name(cpuinfo: Path = CPUINFO) -> str:
    """Return the name of the processor, or else its architecture, such as "x86_64"."""
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


LIBRARIES = (
    *("keras", "matplotlib", "numpy", "optuna", "pandas", "prefect"),
    *("pyarrow", "scikit-learn", "scipy", "tensorflow"),
)

UNRECORDED: dict[str, Any] = {"output": True, "refresh": True, "data": {"downloads": True}}
"""Settings of paths and places, which change no number."""


class Environment(_Record):
    """What decides the numbers beside data and settings: `code` by module of recsys, `versions` by library."""

    code: dict[str, str]
    versions: dict[str, str]
    machine: Machine


class RatingsFile(_Record):
    """The file that the ratings are from."""

    source: str
    sha256: str


class Budget(_Record):
    """The budget of each family's hyperparameter search, zeros where there was none."""

    trials: int
    seconds: float


class Artefact(_Record):
    """Files in the store: name -> SHA-256."""

    key: str
    files: dict[str, str]
    seconds: float


class RunManifest(Environment):
    """The content of manifest.json.

    `settings` has every default written out. `scores` are the numbers that a replay has to reproduce, by row and
    metric; rows of other splits are called "mf_tuned, time, 42" after the kind and seed of the split. `verdict` is
    the report's headline.
    """

    settings: Settings
    ratings: RatingsFile
    seeds: list[int]
    budget: Budget
    artefacts: dict[str, Artefact]
    tuning: list[Tuning]
    scores: dict[str, dict[str, float | None]]
    verdict: str

    @property
    def test_ratings(self) -> dict[str, str] | None:
        """Digests of all ratings and of the row numbers of the test ratings; None where they are not on record."""
        codes, test = self.artefacts.get("codes"), self.artefacts.get("test")
        if codes is None or test is None or not test.files or not codes.files.keys() >= RATINGS:
            return None
        return {**{name: codes.files[name] for name in RATINGS}, **test.files}

    def to_json(self) -> str:
        """Return the manifest as a JSON document, which `read_manifest` reads."""
        return json.dumps(self.model_dump(mode="json", exclude={"settings": UNRECORDED}), indent=1) + "\n"


def run_manifest(settings: Settings, artefacts: Mapping[str, Manifest], comparison: Comparison) -> RunManifest:
    """Return the manifest of a run of this code on this machine.

    `artefacts` are name -> manifest of each artefact read, `ratings` among them.
    """
    return RunManifest(
        **dict(this_environment()),
        settings=settings.model_copy(update={"data": written_out(settings.data)}),
        ratings=RatingsFile(source=comparison.data.source, sha256=artefacts["ratings"]["facts"]["sha256"]),
        seeds=settings.seeds,
        budget=Budget(
            trials=max((tuning.trials_allowed for tuning in comparison.tuning), default=0),
            seconds=max((tuning.seconds_allowed for tuning in comparison.tuning), default=0.0),
        ),
        artefacts={
            name: Artefact(key=made["key"], files=content(made), seconds=made["seconds"])
            for name, made in artefacts.items()
        },
        tuning=comparison.tuning,
        scores=dict(_scores(comparison)),
        verdict=headline(comparison),
    )


def this_environment() -> Environment:
    """Return the code, versions and machine of a run that starts now."""
    modules = [path.relative_to(PACKAGE.parent).with_suffix("") for path in PACKAGE.rglob("*.py")]
    named = [".".join(module.parts).removesuffix(".__init__") for module in modules]
    return Environment(code=code_of(named), versions=versions_of(LIBRARIES), machine=this_machine())


def written_out(data: DataSettings) -> DataSettings:
    """Return the settings with an absolute path, or with the data set and number of rows that None stands for."""
    if data.ratings is not None:
        return data.model_copy(update={"ratings": str(Path(data.ratings).expanduser().absolute())})
    dataset = DATASETS[data.dataset or SAMPLE.name]
    return data.model_copy(update={"dataset": dataset.name, "max_rows": data.max_rows or dataset.max_rows})


def read_manifest(path: Path) -> RunManifest:
    """Read a manifest.json.

    It may be somebody else's: settings of paths, notifications and where tasks run, which change no number, are not
    taken from it.

    Raises:
        BadManifest: the file cannot be read or is not the manifest of a run.
    """
    try:
        document = json.loads(path.read_bytes())
        if isinstance(document, dict) and isinstance(document.get("settings"), dict):
            _leave_out(document["settings"], UNRECORDED)
        return RunManifest.model_validate(document)
    except OSError as error:
        raise BadManifest(f"{path} cannot be read ({error.strerror}): give the manifest.json of a report.") from error
    except ValueError as error:
        raise BadManifest(
            f"{path} is not the manifest of a run, or is damaged ({_damage(error)}): "
            "give the manifest.json of a report."
        ) from error


def read_comparison(folder: str | Path) -> Comparison:
    """Read the comparison of a report, given its folder.

    Raises:
        BadManifest: the folder is not that of a report, or its comparison.json is damaged.
    """
    path = Path(folder).expanduser() / "comparison.json"
    try:
        return Comparison.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadManifest(f"{path} cannot be read ({error.strerror}): give the folder of a report.") from error
    except ValueError as error:
        raise BadManifest(
            f"{path} is not the comparison of a report, or is damaged ({_damage(error)}): "
            "give the folder of another report, or repeat the run."
        ) from error


def _damage(error: ValueError) -> str:
    """The first error, and where it is."""
    first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def _leave_out(settings: dict[str, Any], excluded: Mapping[str, Any]) -> None:
    for name, inside in excluded.items():
        if inside is True:
            settings.pop(name, None)
        elif isinstance(settings.get(name), dict):
            _leave_out(settings[name], inside)


def _scores(comparison: Comparison) -> Iterator[tuple[str, dict[str, float | None]]]:
    for row in (*comparison.models, *comparison.baselines, *comparison.combinations):
        scores = {metric.key: row.metric(metric.key) for metric in rating_metrics()}
        yield row.name, scores | ({key: row.ranking.metric(key) for key in ranking_keys()} if row.ranking else {})
    if curve := comparison.learning_curve:
        for point in curve.points:
            for name, error in ((curve.mf, point.mf), (curve.dnn, point.dnn)):
                yield f"{name}, {point.share:.0%} of the ratings", {"mse": error.value}
    for split in comparison.other_splits:
        for score in split.scores:
            yield f"{score.name}, {split.split_by}, {split.split_seed}", {"mse": score.mse}
