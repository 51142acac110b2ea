"""Made-up records of runs."""

from datetime import UTC, datetime, timedelta
from typing import Any

from recsys.store.run_history import PastRun, PastScore

START = datetime(2026, 11, 3, 3, 0, tzinfo=UTC)
TITLES = {
    "mf": "MF",
    "mf_tuned": "tuned MF",
    "bayes_mf": "Bayesian MF",
    "dnn": "DNN",
    "dnn_tuned": "tuned DNN",
    "bias_only": "bias only",
}


def past(day: int = 0, mse: dict[str, float] | None = None, sd: float | None = 0.001, **changes: Any) -> PastRun:
    """A run so many days after the first, on ratings of its own, with 20,000 test ratings of variance 1."""
    scores = [
        PastScore(name=name, title=TITLES[name], kind="baseline", mse=value)
        if name == "bias_only"
        else PastScore(name=name, title=TITLES[name], kind="model", mse=value, seeds=5, sd=sd)
        for name, value in (mse or {"mf": 0.8, "bias_only": 0.9}).items()
    ]
    fields: dict[str, Any] = {
        "when": START + timedelta(days=day),
        "report": "sample-fair",
        "series": "sample",
        "ratings": f"day {day}",
        "test": f"day {day}",
        "rows": 100_000,
        "users": 700,
        "items": 8000,
        "test_rows": 20_000,
        "cold_test_rows": 800,
        "rating_mean": 3.5,
        "rating_sd": 1.0,
        "rating_min": 0.5,
        "rating_max": 5.0,
        "headline": "",
        "side": "tie",
        "winner": None,
        "scores": tuple(scores),
    }
    return PastRun.model_validate({**fields, **changes})
