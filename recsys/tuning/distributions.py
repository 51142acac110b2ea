"""The values of a search space as Optuna and as JSON have them."""

import json
from typing import TYPE_CHECKING, Any

from recsys.models.search_space import Between, OneOf, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def distribution(where: Between | OneOf) -> "BaseDistribution":
    """Return what Optuna draws from."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(where, Between):
        return FloatDistribution(where.low, where.high, log=where.log)
    return CategoricalDistribution([json.dumps(value) for value in where.values])


def contains(where: Between | OneOf, value: Any) -> bool:
    """Return whether a setting lies in its part of the space."""
    if isinstance(where, Between):
        return where.low <= float(value) <= where.high
    return as_json(value) in where.values


def encoded(where: Between | OneOf, value: Any) -> Any:
    """Return a setting as Optuna has it."""
    return value if isinstance(where, Between) else json.dumps(as_json(value))


def decoded(where: Between | OneOf, value: Any) -> Any:
    """Return what Optuna drew as a setting."""
    return value if isinstance(where, Between) else json.loads(value)


def as_json(value: Any) -> Value:
    """Return a setting as JSON has it."""
    return list(value) if isinstance(value, tuple) else value
