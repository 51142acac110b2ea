"""What each family may vary: the search spaces, as data.

The defaults of a family's settings need not lie in its space: they are trial 0 in any case. Trial 1 is a point
that is known to be good; the others are drawn. The known points, MF's defaults and the ranges come from some dozens of
trials by hand a family, on the validation ratings of the embedded sample: there a search begins with a head start that
its budget does not count. On any other ratings they are guesses like all defaults.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from recsys.settings import BiasedMFSettings, FitSettings, Settings, TunedDNNSettings

MANY_TRIALS = 16
"""Fewer trials than this vary the most useful settings only."""

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
        known: a point of the space that is tried next after trial 0.
        further: fields that only a search of many trials varies; they are costly, or seldom of use.
    """

    name: str
    space: Mapping[str, Between | OneOf]
    known: Mapping[str, Value]
    further: frozenset[str]

    def searched_by(self, trials: int) -> "Family":
        """The family as a search of so many trials varies it: with few, `further` fields have their known value."""
        if trials >= MANY_TRIALS:
            return self
        fixed = {name: OneOf((self.known[name],), ordered=False) for name in self.further}
        return replace(self, space={**self.space, **fixed})

    def defaults(self, settings: Settings) -> FitSettings:
        """The family's settings as the user gave them: trial 0."""
        found: BiasedMFSettings | TunedDNNSettings = getattr(settings, self.name)
        return found


MF = Family(
    "mf_tuned",
    space={
        "embedding_size": OneOf((50, 100, 200)),
        "l2_factors": Between(0.03, 0.3, log=True),
        "l2_biases": Between(0.003, 0.1, log=True),
        "learning_rate": Between(3e-4, 3e-3, log=True),
        "batch_size": OneOf((128, 256, 512)),
        "history": OneOf((0, 20, 50)),
    },
    known={
        "embedding_size": 100,
        "l2_factors": 0.15,
        "l2_biases": 0.02,
        "learning_rate": 1e-3,
        "batch_size": 256,
        "history": 0,
    },
    further=frozenset({"history"}),
)

DNN = Family(
    "dnn_tuned",
    space={
        "embedding_size": OneOf((25, 50, 100)),
        "units": OneOf(([64], [128], [256], [64, 64], [128, 64], [128, 128], [128, 64, 32]), ordered=False),
        "activation": OneOf(("relu", "gelu", "tanh"), ordered=False),
        "dropout": Between(0.0, 0.6),
        "input_dropout": Between(0.0, 0.5),
        "batch_normalisation": OneOf((False, True), ordered=False),
        "l2_embeddings": Between(0.003, 0.3, log=True),
        "l2_kernels": Between(0.001, 0.05, log=True),
        "biases": OneOf((True, False), ordered=False),
        "dot_factors": OneOf((0, 50, 100)),
        "l2_dot": Between(0.03, 0.3, log=True),
        "learning_rate": Between(3e-4, 3e-3, log=True),
        "batch_size": OneOf((128, 256, 512)),
    },
    known={
        "embedding_size": 50,
        "units": [64],
        "activation": "relu",
        "dropout": 0.3,
        "input_dropout": 0.0,
        "batch_normalisation": False,
        "l2_embeddings": 0.02,
        "l2_kernels": 0.02,
        "biases": True,
        "dot_factors": 100,
        "l2_dot": 0.12,
        "learning_rate": 1e-3,
        "batch_size": 256,
    },
    further=frozenset({"activation", "batch_normalisation", "biases", "dot_factors", "batch_size"}),
)

FAMILIES = (MF, DNN)
