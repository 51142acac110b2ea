"""What takes part in a search: the models of each family, their known settings, and what each family may spend."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recsys.errors import NotEnoughMemory
from recsys.memory import REMEDY, require_memory
from recsys.models.search_space import DataSize, SearchSpace, as_json
from recsys.models.settings import FitSettings, epochs_on
from recsys.models.specs import MODEL, TUNED, Family
from recsys.settings import Settings
from recsys.text import opening

log = logging.getLogger(__name__)

GRANTED_DRAWS = 4
"""Trials that are drawn whatever the seconds."""

SAMPLED_RATINGS = 200_000
"""With more training ratings than these, the first step is trained on a sample of about so many."""


@dataclass(frozen=True)
class Member:
    """A model of a family: what is searched of it, and `given`, its settings where nothing varies.

    Where it does not choose its epochs, all its trials have equally many; where it does, fewer on many ratings, see
    `recsys.models.settings.epochs_on`.
    """

    name: str
    title: str
    space: SearchSpace
    given: FitSettings
    chooses_epochs: bool = True

    def points(self) -> list[FitSettings]:
        """The known points that differ from the settings given."""
        given = {name: as_json(getattr(self.given, name)) for name in self.space.fields}
        return [self.with_values(values) for values in self.space.known if values != given]

    def with_values(self, values: Mapping[str, Any]) -> FitSettings:
        """Return the settings given with some of them changed, and the epochs of a trial that is drawn."""
        epochs = self.space.epochs if self.chooses_epochs else self.trial.epochs
        return type(self.given).model_validate(self.given.model_dump() | dict(values) | {"epochs": epochs})

    def is_simple(self, settings: FitSettings) -> bool:
        """Whether these are the settings of a simple model that this one contains."""
        return any(
            all(as_json(getattr(settings, name)) == value for name, value in simple.items())
            for simple in self.space.simpler
        )

    @property
    def trial(self) -> FitSettings:
        """The settings given as they are tried."""
        most = self.given.epochs if self.chooses_epochs else min(self.given.epochs, self.space.epochs)
        return self.given.model_copy(update={"epochs": most})


@dataclass(frozen=True)
class Allowance:
    """What each family may spend.

    Of its `trials`, the first `granted` are begun whatever they cost, and the others only before `seconds` of training
    are spent. The first step is trained on about `sampled` ratings, 0 for all.
    """

    trials: int
    granted: int
    draws: int
    seconds: float
    sampled: int = 0


Families = Mapping[Family, Sequence[Member]]


def left_out(settings: Settings, size: DataSize) -> dict[str, str]:
    """Return the models that cannot be fitted to data of this size, and why, before any is fitted."""
    found = {}
    for spec in filter(settings.tuning.takes, TUNED):
        if settings.tuning.models is None and spec.most_ratings and size.ratings > spec.most_ratings:
            found[spec.name] = (
                f"There are {size.ratings:,} training ratings, and above {spec.most_ratings:,} it takes hours: name it "
                "with --models to include it."
            )
            continue
        needed = settings.of(spec).bytes_needed(size.ratings, size.users, size.items)
        try:
            require_memory("It", needed)
        except NotEnoughMemory as error:
            found[spec.name] = str(error)
    for name, reason in found.items():
        log.warning("%s is left out. %s", opening(MODEL[name].title), reason)
    return found


def searched_families(settings: Settings, size: DataSize, without: Collection[str] = ()) -> Families:
    """Return the models of each family, with spaces for data of this size, `without` some.

    Raises:
        NotEnoughMemory: none is left of a family.
    """
    draws, most = settings.tuning.draws, settings.tuning.trial_epochs
    found: dict[Family, list[Member]] = {}
    for spec in TUNED:
        if spec.space and settings.tuning.takes(spec) and spec.name not in without:
            space, given = spec.space.of_search(size, draws, most), settings.of(spec).on(size.ratings)
            if spec.chooses_epochs:
                given = given.model_copy(update={"epochs": epochs_on(size.ratings, given.epochs)})
            member = Member(spec.name, spec.title, space, given, spec.chooses_epochs)
            found.setdefault(spec.family, []).append(member)
    if lacking := {spec.family for spec in TUNED} - found.keys():
        families = " and ".join(sorted(family.upper() for family in lacking))
        raise NotEnoughMemory(f"There is not enough memory for any searched model of the family {families}: {REMEDY}.")
    return found


def allowance(settings: Settings, families: Families, size: DataSize) -> Allowance:
    """Return what every family may spend, which is enough for the one with the most known settings."""
    draws = settings.tuning.draws
    known = max(len(known_settings(members, draws)) for members in families.values())
    return Allowance(
        trials=known + draws,
        granted=known + min(draws, GRANTED_DRAWS),
        draws=draws,
        seconds=settings.tuning.seconds(size.ratings),
        sampled=SAMPLED_RATINGS if size.ratings > SAMPLED_RATINGS else 0,
    )


def known_settings(members: Sequence[Member], draws: int) -> list[tuple[Member, FitSettings]]:
    """What is tried first: the settings given, and, if any trials are drawn, the known points."""
    given = [(member, member.trial) for member in members]
    return given + [(member, point) for member in members for point in member.points() if draws]
