"""Which searched settings mattered: a functional analysis of variance over the finished trials.

A random forest learns the order of the trials from their settings; a setting's share is what it alone explains of
the forest's variance (Hutter, Hoos and Leyton-Brown 2014, 'An Efficient Approach for Assessing Hyperparameter
Importance', as Optuna has it). It is the order and not the error that is learnt, so that one trial that
diverged does not explain everything.
"""

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from scipy.stats import rankdata

from recsys.evaluation.comparison import SearchedSetting, Trial, Tuning
from recsys.report.searched_settings import place, written
from recsys.report.searches import ENOUGH, error, in_state


def importances(tuning: Tuning, seed: int) -> dict[str, float]:
    """Share of each searched setting in what the settings explain.

    Args:
        tuning: a search.
        seed: of the random forest.

    Returns:
        Shares that sum to 1, the largest first; empty with fewer than `searches.ENOUGH` finished trials, or where
        all of these are equally good or have equal settings.
    """
    finished = in_state(tuning, "finished")
    settings = [setting for setting in tuning.searched if all(setting.name in tried.settings for tried in finished)]
    if len(finished) < ENOUGH or len({error(tried) for tried in finished}) < 2:
        return {}
    columns = {setting.name: _column(setting, finished) for setting in settings}
    varied = {name: column for name, column in columns.items() if len(set(column[1])) > 1}
    if not varied:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would announce the study on the terminal
    study = optuna.create_study()
    ranks = rankdata([error(tried) for tried in finished])
    study.add_trials(
        [
            optuna.trial.create_trial(
                value=float(rank),
                params={name: column[1][row] for name, column in varied.items()},
                distributions={name: column[0] for name, column in varied.items()},
            )
            for row, rank in enumerate(ranks)
        ]
    )
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    shares = {name: float(found.get(name, 0.0)) for name in columns}
    return dict(sorted(shares.items(), key=lambda entry: -entry[1]))


def _column(setting: SearchedSetting, finished: list[Trial]) -> tuple[BaseDistribution, list[float] | list[str]]:
    """A setting's values as places in its range, or as names where they have no order."""
    values = [tried.settings[setting.name] for tried in finished]
    places = [place(setting, value) for value in values]
    known = [where for where in places if where is not None]
    if len(known) == len(values):
        inside = [min(1.0, max(0.0, where)) for where in known]
        return FloatDistribution(0.0, 1.0), inside
    names = [written(value) for value in values]
    return CategoricalDistribution(sorted(set(names))), names
