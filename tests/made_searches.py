"""Made-up searches, whole ones and such as have chosen errors."""

from typing import Any, Literal

import numpy as np

from recsys.evaluation.results import SearchedSetting, Trial, Tuning

Settings = dict[str, int | float | bool | str | list[int]]

MF_SEARCHED = [
    SearchedSetting(name="embedding_size", choices=[25, 50, 100, 200], ordered=True),
    SearchedSetting(name="l2_factors", low=0.01, high=1.0, log=True),
    SearchedSetting(name="learning_rate", low=1e-4, high=1e-2, log=True),
    SearchedSetting(name="item_bias", choices=[True, False]),
]
DNN_SEARCHED = [
    SearchedSetting(name="units", choices=[[64], [128], [64, 64], [128, 128], [128, 128, 128]], ordered=True),
    SearchedSetting(name="dropout", low=0.0, high=0.6),
    SearchedSetting(name="learning_rate", low=1e-4, high=1e-2, log=True),
]
MF_START: Settings = {"embedding_size": 100, "l2_factors": 0.12, "learning_rate": 0.002, "item_bias": True}
DNN_START: Settings = {"units": [128, 128], "dropout": 0.3, "learning_rate": 0.001}


def trial(number: int, val_mse: float | None, settings: Settings | None = None, **changes: Any) -> Trial:
    """A trial that finished with an error, or failed without one."""
    fields: dict[str, Any] = {
        "number": number,
        "state": "failed" if val_mse is None else "finished",
        "settings": settings or {},
        "epochs": 12,
        "best_epoch": None if val_mse is None else 9,
        "val_mse": val_mse,
        "seconds": 2.0,
        "parameters": None if val_mse is None else 446_450,
        "reason": "its loss became NaN" if val_mse is None else None,
    }
    return Trial(**{**fields, **changes})


def tuning(name: str, trials: list[Trial], **changes: Any) -> Tuning:
    """A search that used all its trials, and whose winner is the finished trial of the lowest error."""
    finished = [tried for tried in trials if tried.state == "finished"]
    best = min(finished, key=lambda tried: tried.val_mse or 0.0, default=None)
    fields: dict[str, Any] = {
        "name": name,
        "title": {"mf_tuned": "tuned MF", "dnn_tuned": "tuned DNN"}[name],
        "family": {"mf_tuned": "mf", "dnn_tuned": "dnn"}[name],
        "trials_allowed": len(trials),
        "seconds_allowed": 60.0,
        "seconds_used": 24.0,
        "searched": DNN_SEARCHED if name == "dnn_tuned" else MF_SEARCHED,
        "trials": trials,
        "winner": best.number if best else None,
    }
    return Tuning(**{**fields, **changes})


def mf_search(trials: int = 24, seed: int = 1) -> Tuning:
    """A search in which l2_factors matters most, learning_rate little, and the others not at all."""
    random = np.random.default_rng(seed)
    made = [trial(0, 0.7712, MF_START, seconds=9.3, parameters=901_829)]
    for number in range(1, trials):
        size, rate, l2 = (
            int(random.choice([25, 50, 100, 200])),
            10 ** random.uniform(-4, -2),
            10 ** random.uniform(-2, 0),
        )
        missed = float(np.log10(l2 / 0.09))
        reached = 0.763 + 0.06 * missed**2 + 0.004 * abs(float(np.log10(rate / 0.001))) + 0.001 * float(random.random())
        settings: Settings = {
            "embedding_size": size,
            "l2_factors": l2,
            "learning_rate": rate,
            "item_bias": number % 3 > 0,
        }
        made.append(_finish(random, number, reached, settings, 1.2 + size / 20, 8_929 * (size + 1)))
    return tuning("mf_tuned", made, seconds_used=48.2, seconds_allowed=240.0)


def dnn_search(trials: int = 30, seed: int = 2) -> Tuning:
    """A search in which two layers and dropout of 0.4 are best, with a trial that failed and one that diverged."""
    random = np.random.default_rng(seed)
    made = [trial(0, 0.7893, DNN_START, seconds=14.2, parameters=476_019)]
    for number in range(1, trials):
        units = DNN_SEARCHED[0].choices[int(random.integers(5))]
        assert isinstance(units, list)
        dropout, rate = float(random.uniform(0, 0.6)), 10 ** random.uniform(-4, -2)
        reached = 0.783 + 0.1 * (dropout - 0.4) ** 2 + 0.012 * abs(len(units) - 2) + 0.002 * float(random.random())
        settings: Settings = {"units": units, "dropout": dropout, "learning_rate": rate}
        if number == 7:
            made.append(trial(number, None, settings, seconds=0.8))
        else:
            diverged = 31.4 if number == 11 else reached
            made.append(_finish(random, number, diverged, settings, 4.0 * len(units), 446_450 + 16_384 * len(units)))
    return tuning("dnn_tuned", made, seconds_used=240.6, seconds_allowed=240.0, trials_allowed=40)


def _finish(
    random: np.random.Generator, number: int, reached: float, settings: Settings, seconds: float, parameters: int
) -> Trial:
    """A trial that finished, or that was pruned where it was far behind."""
    pruned = reached > 0.81 and number % 2 == 0
    state: Literal["pruned", "finished"] = "pruned" if pruned else "finished"
    took = seconds * (0.3 if pruned else 1.0) * float(random.uniform(0.8, 1.2))
    return trial(
        number, reached, settings, state=state, epochs=3 if pruned else 14, seconds=took, parameters=parameters
    )


def family_search(**changes: Any) -> Tuning:
    """A search of two factorisations, of which tuned MF won with trial 4; the other is behind in each of its trials."""
    errors: dict[str, dict[int, float | None]] = {"mf_tuned": {0: 0.77, 2: 0.79, 4: 0.76}}
    errors["histories"] = {1: 0.775, 3: 0.768, 5: None}
    start: dict[str, Settings] = {"mf_tuned": MF_START, "histories": {"depth": 2.0, "l2_factors": 0.1}}
    tried = [
        trial(number, error, start[model] | {"l2_factors": 0.1 + number / 100}, model=model)
        for model, losses in errors.items()
        for number, error in losses.items()
    ]
    tried.append(trial(6, 0.5, start["histories"], model="histories", state="pruned", sampled=True))
    searched = [setting.model_copy(update={"model": "mf_tuned"}) for setting in MF_SEARCHED]
    searched.append(SearchedSetting(name="depth", model="histories", low=1.0, high=8.0))
    ordered = sorted(tried, key=lambda one: one.number)
    return tuning("mf_tuned", ordered, **{"points": 4, "winner": 4, "searched": searched, **changes})
