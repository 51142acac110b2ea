"""What each family may vary: the search spaces, as data.

The defaults of a family's settings need not lie in its space: they are trial 0 in any case.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from recsys.settings import BiasedMFSettings, FitSettings, Settings, TunedDNNSettings

Value = int | float | bool | str | list[int]


@dataclass(frozen=True)
class Between:
    """A number between two others, drawn evenly or, with `log`, evenly among its logarithms."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class OneOf:
    """One of several values; `ordered` where the first and the last are the ends of a scale."""

    values: tuple[Value, ...]
    ordered: bool = True


@dataclass(frozen=True)
class Family:
    """Models that are tuned together.

    Attributes:
        name: the row of the report that the winner becomes.
        space: field of the settings -> what it may be.
    """

    name: str
    space: Mapping[str, Between | OneOf]

    def defaults(self, settings: Settings) -> FitSettings:
        """The family's settings as the user gave them: trial 0."""
        found: BiasedMFSettings | TunedDNNSettings = getattr(settings, self.name)
        return found


MF = Family(
    "mf_tuned",
    {
        "embedding_size": OneOf((50, 100, 200)),
        "l2_factors": Between(0.03, 0.3, log=True),
        "l2_biases": Between(0.003, 0.1, log=True),
        "learning_rate": Between(3e-4, 3e-3, log=True),
        "batch_size": OneOf((128, 256, 512)),
    },
)

DNN = Family(
    "dnn_tuned",
    {
        "embedding_size": OneOf((25, 50, 100)),
        "units": OneOf(([64], [128], [64, 64], [128, 128], [256, 128, 64]), ordered=False),
        "dropout": Between(0.0, 0.6),
        "learning_rate": Between(3e-4, 3e-3, log=True),
        "batch_size": OneOf((128, 256, 512)),
    },
)

FAMILIES = (MF, DNN)
