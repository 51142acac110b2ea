"""A searched setting: how its values are written, and where in its range a value lies."""

import math
from typing import Literal

from recsys.evaluation.comparison import SearchedSetting
from recsys.report.wording import short

SettingValue = int | float | bool | str | list[int]

EDGE = 0.05
"""Share of a range, at either end, that counts as its edge."""


def spoken(name: str) -> str:
    """A setting's name as it is read."""
    return name.replace("_", " ")


def written(value: SettingValue | None) -> str:
    """A setting's value as it is read: units of layers as 128-64, switches as yes and no."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "-".join(map(str, value))
    return value if isinstance(value, str) else short(value)


def reach(setting: SearchedSetting) -> str:
    """What was searched: 0.01 to 0.3, or one of 32, 64, 128."""
    if setting.low is not None and setting.high is not None:
        return f"{short(setting.low)} to {short(setting.high)}{', log scale' if setting.log else ''}"
    return ", ".join(map(written, setting.choices))


def place(setting: SearchedSetting, value: SettingValue) -> float | None:
    """Where a value lies between the ends of what was searched, in the scale that was searched.

    Returns:
        0 at the first end and 1 at the last, less or more outside; None where there are no ends.
    """
    if setting.low is not None and setting.high is not None:
        if isinstance(value, str | list) or setting.high <= setting.low:
            return None
        if setting.log:
            if value <= 0:
                return -math.inf
            return math.log(value / setting.low) / math.log(setting.high / setting.low)
        return (value - setting.low) / (setting.high - setting.low)
    if not setting.ordered or len(setting.choices) < 2 or value not in setting.choices:
        return None
    return setting.choices.index(value) / (len(setting.choices) - 1)


def edge(setting: SearchedSetting, value: SettingValue) -> Literal["lower", "upper"] | None:
    """The end of a range that a value lies at, if a range that goes further would make sense.

    Nothing lies at a lower end of 0: no setting is below 0.
    """
    where = place(setting, value)
    if where is None:
        return None
    if where <= EDGE:
        first = setting.low if setting.low is not None else setting.choices[0]
        return None if first == 0 else "lower"
    return "upper" if where >= 1 - EDGE else None
