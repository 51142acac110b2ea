"""A model is added in one place: its module, and in the records of the models its settings and its record."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.factories import small_settings

ROOT = Path(__file__).parent.parent.parent

MODULE = '''"""The mean of the ratings whose user and item are both odd or both even, and of the others."""

import time
from dataclasses import dataclass

import numpy as np

from recsys.training.fit import Fit


@dataclass(frozen=True)
class Parity:
    means: np.ndarray

    parameters = 2
    summary = "two means"

    def predict(self, user, item):
        return self.means[(user + item) % 2]

    def save(self, path):
        with path.open("wb") as file:
            np.savez(file, means=self.means)


def fit(users, items, data, settings, seed, progress, checkpoint):
    start = time.perf_counter()
    rows = {"loss": data.train, "val_loss": data.validation}
    user, item, rating = (np.asarray(column) for column in (data.user, data.item, data.rating))
    even = (user + item) % 2
    train = data.train
    overall = rating[train].mean()
    means = [
        (rating[train][even[train] == side].sum() + settings.damping * overall)
        / ((even[train] == side).sum() + settings.damping)
        for side in (0, 1)
    ]
    found = Parity(np.array(means, np.float32))
    progress(1, 1, "both means")
    losses = {
        name: [float(np.mean((found.predict(user[of], item[of]) - rating[of]) ** 2))] if len(of) else []
        for name, of in rows.items()
    }
    best = 1 if len(data.validation) else None
    seconds = time.perf_counter() - start
    return found, Fit(**losses, best_epoch=best, scored_epoch=1, stopped_early=False, seconds=seconds, engine="own",
                      device="CPU")


def load(path):
    with np.load(path, allow_pickle=False) as arrays:
        return Parity(arrays["means"])
'''

SETTINGS = '''class ParitySettings(FitSettings):
    """Two means."""

    epochs: int = 1
    damping: float = Field(3.0, ge=0, description="ratings of the mean that each side starts with")


MODELS: '''

RECORD = '''    ModelSpec(
        name="parity",
        title="parity",
        family="mf",
        settings=ParitySettings,
        detail="damping {settings.damping:g}",
        fit="recsys.models.parity:fit",
        load="recsys.models.parity:load",
        file="model.npz",
        libraries=("numpy",),
        colour=Colour("#aa3377", "#cc6699"),
        marker="v",
        blended=True,
        space=SearchSpace({"damping": Between(0.1, 100, log=True, known=1.0)}, epochs=1),
        chooses_epochs=False,
    ),
)
"""In the order of the table."""


class ModelSections(SettingsModel):
    """A section of settings for each model."""

    parity: Annotated[ParitySettings, section("Parity", 6, flat=False)] = ParitySettings()
'''

TUNING = {"budget": 0.25, "trial_epochs": 2, "models": None}

END_OF_RECORDS = RECORD.partition("    ),\n")[2].partition("    parity:")[0]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with one more model."""
    copy = tmp_path_factory.mktemp("project")
    for package in ("recsys", "tasks", "flows"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "recsys" / "models" / "parity.py").write_text(MODULE)
    specs = copy / "recsys" / "models" / "specs.py"
    text = specs.read_text()
    for old, new in (
        ("MODELS: ", SETTINGS),
        (END_OF_RECORDS, RECORD),
        ("\nfrom recsys.config", "\nfrom pydantic import Field\n\nfrom recsys.config"),
    ):
        assert text.count(old) == 1, f"{old!r} is not in the records of the models once"
        text = text.replace(old, new)
    specs.write_text(text)
    return copy


def called(project: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "flows/compare.py", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), **environment},
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_help_has_its_settings(project: Path) -> None:
    text = called(project, "--help")
    assert "--parity.damping" in text
    assert "ratings of the mean that each side starts with" in " ".join(text.split())


@pytest.mark.timeout(900)  # on a busy machine
def test_it_is_trained_tuned_scored_blended_and_plotted(project: Path, prefect_server: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    user, item = np.divmod(random.permutation(30 * 40)[:900], 40)
    rating = 3 + ((user + item) % 2) + random.normal(scale=0.3, size=900)
    ratings = tmp_path / "ratings.csv"
    lines = [f"{u + 1},{i + 1},{r:.3f}" for u, i, r in zip(user, item, rating, strict=True)]
    ratings.write_text("\n".join(["userId,movieId,rating", *lines]) + "\n")
    settings = small_settings(ratings, tmp_path, tuning=TUNING, evidence={"seeds": 2}, output={"plots": True})
    config = tmp_path / "settings.yaml"
    given = settings.model_dump(mode="json", exclude_unset=True)
    given["tuning"]["models"] = ["mf_tuned", "parity", "autorec"]  # which compiles soonest of the networks
    config.write_text(json.dumps(given))

    printed = called(project, "--config", str(config), PREFECT_API_URL=prefect_server)
    assert "train_parity" in printed
    assert "try_parity" in printed
    comparison = json.loads((tmp_path / "reports" / "run" / "comparison.json").read_text())
    rows = {row["name"]: row for row in comparison["models"]}
    assert list(rows) == ["mf", "dnn", "mf_tuned", "parity", "autorec"]
    assert rows["parity"]["mse"] < 0.15 < rows["mf_tuned"]["mse"]
    factorisations, networks = comparison["tuning"]
    assert factorisations["name"] == "parity"
    assert [name for name in rows if rows[name]["chosen"]] == ["parity", networks["name"]]
    assert [len(row["seeds"]) for row in rows.values()] == [2 if row["chosen"] else 1 for row in rows.values()]
    assert factorisations["winner"] in [one["number"] for one in factorisations["trials"] if one["model"] == "parity"]
    known = factorisations["trials"][: factorisations["points"]]
    assert [one["model"] for one in known] == [
        *("mf_tuned", "parity"),  # as given
        *("mf_tuned", "mf_tuned", "parity"),  # as known
    ]
    assert [one["settings"]["damping"] for one in known if one["model"] == "parity"] == [3.0, 1.0]
    assert len(factorisations["trials"]) == len(networks["trials"]) == factorisations["points"] + 1
    assert {one["model"] for one in factorisations["trials"][factorisations["points"] :]} == {"parity"}
    headline = json.loads((tmp_path / "reports" / "run" / "manifest.json").read_text())["verdict"]
    assert "the deep network predicts worse than matrix factorisation" in headline
    blend = next(row for row in comparison["combinations"] if row["name"] == "blend")
    assert dict(zip(blend["members"], blend["weights"], strict=True))["parity"] > 0.5
    assert {row["name"] for row in comparison["combinations"]} >= {"parity_mean"}
    assert any("parity" in (one["name"], one["other"]) for one in comparison["differences"])
    report = tmp_path / "reports" / "run"
    assert "#aa3377" in (report / "plots" / "errors.svg").read_text()
    assert ">Parity<" in (report / "report.html").read_text()
    assert json.loads((report / "manifest.json").read_text())["settings"]["parity"]["damping"] == 3.0
