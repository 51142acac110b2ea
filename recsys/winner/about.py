"""What the folder of a winner says of itself: winner.json, and the lists of some users in examples.json."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from recsys.errors import BadRatings, DamagedWinner
from recsys.models.specs import MODEL, ROW
from recsys.store.store import sha256_of
from recsys.text import short

FORMAT = 2
"""Of the folder; a reader refuses others."""

ABOUT = "winner.json"

EXAMPLES = "examples.json"
AGAIN = "repeat the comparison, which writes the folder anew"


class MemberOf(BaseModel):
    """A row of the comparison in a blend: its weight, and of a model the folder of each fit, inside of the winner's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: float
    folders: list[str] = []


class About(BaseModel):
    """What `winner.json` says.

    Attributes:
        name: its row in the comparison, that of a model or the blend's.
        reason: why it is the one to use, as the end of a sentence.
        refitted: whether the model was fitted to all ratings, the test ratings among them.
        ratings: how many it was fitted to.
        seed: of its training.
        settings: hyperparameters, with the epochs that it was trained for; of the blend none.
        members: of the blend, by their row; of a model none.
        mean: of the ratings that chose their weights, from which members deviate.
        lowest: of these ratings.
        highest: of these ratings.
        files: name -> SHA-256 of each other file of the folder that predictions depend on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    name: str
    title: str
    reason: str
    refitted: bool
    ratings: int
    seed: int
    settings: dict[str, Any]
    members: dict[str, MemberOf] = {}
    mean: float = 0.0
    lowest: float
    highest: float
    files: dict[str, str]

    @property
    def fits(self) -> dict[str, tuple[str, ...]]:
        """Row -> the folders of its fits, of each model in it."""
        if not self.members:
            return {self.name: ("",)}
        return {name: tuple(member.folders) for name, member in self.members.items() if member.folders}

    def require_scale(self, ratings: Sequence[float]) -> None:
        """Check that ratings are on the scale of those that were fitted, whose ends nobody may have given.

        Raises:
            BadRatings: one is further outside of their range than that is wide.
        """
        low, high = self.lowest, self.highest
        for position, rating in enumerate(ratings):
            if low < high and not 2 * low - high <= rating <= 2 * high - low:
                raise BadRatings(
                    f"The rating at position {position:,} is {short(rating)}, and the model was fitted to ratings from "
                    f"{short(low)} to {short(high)}: give ratings on that scale."
                )


class Listed(BaseModel):
    """An item of a list: what it is called, its prediction, and the rated item that is most similar to it, if known."""

    model_config = ConfigDict(frozen=True)

    item: str
    prediction: float
    nearest: str | None


class Example(BaseModel):
    """The list of a user."""

    model_config = ConfigDict(frozen=True)

    user: str
    ratings: int
    listed: list[Listed]


def read_about(folder: Path) -> About:
    """Read `winner.json`, and check every file that it names.

    Raises:
        DamagedWinner: there is no such folder, one of its files is missing, cut or changed, or another version of the
            project wrote it in a way that this one cannot read.
    """
    path = folder / ABOUT
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DamagedWinner(f"{folder} has no {ABOUT}: give the folder winner of a report.") from error
    except (OSError, ValueError) as error:
        raise DamagedWinner(f"{path} cannot be read ({error}): {AGAIN}.") from error
    version = document.get("format") if isinstance(document, dict) else None
    if version != FORMAT:
        update = "update the project, or " if isinstance(version, int) and version > FORMAT else ""
        raise DamagedWinner(f"{path} has format {version}, and this version reads {FORMAT}: {update}{AGAIN}.")
    try:
        about = About.model_validate(document)
    except ValidationError as error:
        raise DamagedWinner(f"{path} is not what this version writes ({error.errors()[0]['msg']}): {AGAIN}.") from error
    for name in about.members or (about.name,):
        if name not in (ROW if about.members else MODEL):
            raise DamagedWinner(f"{path} names the model {name!r}, which this version does not have: {AGAIN}.")
    for name, digest in about.files.items():
        if (
            ".." in Path(name).parts
            or Path(name).is_absolute()
            or not (folder / name).is_file()
            or sha256_of(folder / name) != digest
        ):
            raise DamagedWinner(f"{folder / name} is missing, cut or changed: {AGAIN}.")
    return about


def read_examples(path: Path) -> list[Example]:
    """Read what `write_examples` wrote."""
    return [Example.model_validate(example) for example in json.loads(path.read_bytes())]
