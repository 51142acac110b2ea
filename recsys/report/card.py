"""The model card of the model to use (Mitchell et al. 2019, "Model Cards for Model Reporting")."""

import hashlib
from typing import Any

from pydantic import BaseModel, ConfigDict

from recsys.evaluation.results import Combination, Comparison, ModelResult
from recsys.models.specs import MODEL, ROW
from recsys.report.manifest import RunManifest
from recsys.report.markdown import escaped
from recsys.report.outcomes import difference, mse_step, rmse_step
from recsys.report.searches import setting_text, setting_title
from recsys.report.sections.data import period
from recsys.text import number, opening, seconds, short, size
from recsys.winner.about import About

FAMILIES = {"mf": "matrix factorisation", "dnn": "deep network"}
SPLITS = {
    "random": "drawn at random",
    "kfold": "a random fold",
    "user-last": "the last of each user",
    "leave-one-out": "the last one of each user",
    "time": "the latest of all",
}


class Card(BaseModel):
    """What whoever uses the model has to know.

    Attributes:
        model: title, row, family, hyperparameters, seed, and how many ratings it was fitted to.
        data: source, licence, counts and the range of the ratings.
        test: which ratings were held out, and the errors on them; None where the model has no row in the comparison.
        cost: of training and prediction.
        limits: what the numbers do not say, and what it is not for.
        made_with: versions of Python and of the libraries.
        manifest: SHA-256 of the manifest of the run.
    """

    model_config = ConfigDict(frozen=True)

    model: dict[str, Any]
    data: dict[str, Any]
    test: dict[str, Any] | None
    cost: dict[str, Any]
    limits: list[str]
    made_with: dict[str, str]
    manifest: str

    def as_json(self) -> bytes:
        """The card as a JSON document."""
        return (self.model_dump_json(indent=1) + "\n").encode()

    def as_markdown(self) -> bytes:
        """The card as a Markdown document."""
        parts = [("Model", self.model), ("Data", self.data), ("Test", self.test or {}), ("Cost", self.cost)]
        blocks = [f"# {escaped(self.model['title'])}"]
        for title, facts in parts:
            lines = [f"- **{escaped(opening(name))}**: {escaped(_told(value))}" for name, value in facts.items()]
            blocks += [f"## {title}", "\n".join(lines or ["- It was not scored."])]
        blocks += ["## Limits", "\n".join(f"- {escaped(limit)}" for limit in self.limits)]
        versions = ", ".join(f"{name} {version}" for name, version in self.made_with.items())
        blocks += ["## Made with", f"{escaped(versions)}. SHA-256 of the run's manifest.json: `{self.manifest}`."]
        return ("\n\n".join(blocks) + "\n").encode()


def model_card(comparison: Comparison, about: About, manifest: RunManifest, manifest_bytes: bytes) -> Card:
    """Return the card of a model of this comparison, whose winner.json is `about`."""
    data = comparison.data
    rows: list[ModelResult | Combination] = [*comparison.models, *comparison.combinations]
    row = next((row for row in rows if row.name == about.name), None)
    weights = {name: member.weight for name, member in about.members.items()}
    return Card(
        model={
            "title": opening(about.title),
            "row": about.name,
            "family": FAMILIES[MODEL[about.name].family] if about.name in MODEL else "models and baselines combined",
            **{f"weight of {ROW[name].title}": round(weight, 4) for name, weight in weights.items()},
            "fitted to": f"{'all' if about.refitted else 'training and validation'} ratings: {about.ratings:,}",
            "first seed" if weights else "seed": about.seed,
            **{setting_title(name): value for name, value in about.settings.items()},
        },
        data={
            "source": data.source,
            "licence": data.licence or "not known",
            "period": period(data) or "not known",
            "ratings": data.rows,
            "users": data.users,
            "items": data.items,
            "lowest rating": about.lowest,
            "highest rating": about.highest,
        },
        test=_test(comparison, row) if row else None,
        cost=_cost(row) if row else {},
        limits=_limits(comparison, about),
        made_with={"Python": manifest.machine.python, **manifest.versions},
        manifest=hashlib.sha256(manifest_bytes).hexdigest(),
    )


def _test(comparison: Comparison, row: ModelResult | Combination) -> dict[str, Any]:
    step = mse_step(comparison)
    found = {
        "held out": f"{comparison.data.test_rows:,} ratings, {SPLITS[comparison.split_by]}",
        "MSE": number(row.mse, step),
        "RMSE": number(row.rmse, rmse_step(comparison)),
        "MAE": number(row.mae, rmse_step(comparison)),
    }
    spread, intervals = (row.spread, row.intervals) if isinstance(row, ModelResult) else (None, [])
    if spread:
        found["MSE, 95% interval over seeds"] = f"{number(spread.low, step)} to {number(spread.high, step)}"
    biases = next((baseline for baseline in comparison.baselines if baseline.name == "bias_only"), None)
    against = difference(comparison, row, biases) if biases else None
    if against and against.low is not None and against.high is not None:
        ends = f"{number(against.low, step)} to {number(against.high, step)}"
        found["MSE less that of bias only, 95% interval over users"] = ends
    for interval in intervals:
        found[f"inside of its {100 * interval.level:.0f}% intervals"] = f"{100 * interval.covered:.1f}%"
    return found


def _cost(row: ModelResult | Combination) -> dict[str, Any]:
    told = {"parameters": row.parameters, "fit": seconds(row.fit_seconds)}
    if isinstance(row, ModelResult) and row.file_bytes is not None:
        told["file"] = size(row.file_bytes)
    if row.predict_microseconds is not None:
        told["a prediction"] = f"{short(row.predict_microseconds)} µs"
    return told


def _limits(comparison: Comparison, about: About) -> list[str]:
    data = comparison.data
    limits = [
        f"It predicts ratings from {short(about.lowest)} to {short(about.highest)} of the users and items of these "
        "ratings; on other data it was not tested.",
        "A user or an item without ratings gets the mean and the bias of the other, which is no recommendation of its "
        "own; with neither, the mean.",
    ]
    if about.refitted:
        limits.append(
            f"The errors are those of a fit to {data.train_rows + data.validation_rows:,} of the ratings; this fit has "
            "seen the test ratings as well, so it cannot be tested on them."
        )
    if comparison.split_by in ("random", "kfold"):
        limits.append("Test ratings were drawn at random: errors on ratings of a later time are usually larger.")
    limits.append(
        "Ratings are of what people chose to rate. Lists by predicted rating were not tested with users, and the model "
        "is not for decisions about people."
    )
    return limits


def _told(value: Any) -> str:
    if isinstance(value, bool | str | list | tuple):
        return setting_text(list(value) if isinstance(value, tuple) else value)
    return f"{value:,}" if isinstance(value, int) else short(value)
