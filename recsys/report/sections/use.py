"""The model to use: which, why, where, how, and what it recommends to some users."""

from collections.abc import Sequence
from dataclasses import dataclass

from recsys.report.section import Finding, Section, text_table
from recsys.text import inside, opening, short
from recsys.winner.about import About, Example

COMMANDS = (
    "mf-or-dnn predict --winner {folder} --pairs pairs.csv --out predictions.csv",
    "mf-or-dnn recommend --winner {folder} --users all --top 10 --out lists.csv",
    "mf-or-dnn recommend --winner {folder} --users {user} --top 10 --out lists.csv",
)


@dataclass(frozen=True)
class Winner:
    """The model to use: where its folder is, what it is, and lists of some users."""

    folder: str
    about: About
    examples: Sequence[Example]


def recommending(folder: str) -> str:
    """The command that lists items for all users."""
    return COMMANDS[1].format(folder=folder)


def section(winner: Winner) -> Section:
    """What there is to say of the model to use."""
    about = winner.about
    fitted = "all ratings, the test ratings among them" if about.refitted else "the training and validation ratings"
    user = winner.examples[0].user if winner.examples else "1"
    commands = "\n".join(command.format(folder=winner.folder, user=user) for command in COMMANDS)
    return Section(
        "use",
        "Use it",
        [
            Finding("choice", f"The model to use is {about.title}: {about.reason}."),
            Finding("fit", f"It is fitted to {fitted} ({about.ratings:,}), and is in {winner.folder} with its card."),
        ],
        listing=commands,
        parts=[_lists(winner.examples)] if winner.examples else [],
        result=inside(about.title),
    )


def _lists(examples: Sequence[Example]) -> Section:
    rows = [
        [
            f"user {example.user} ({example.ratings:,})",
            listed.item,
            short(round(listed.prediction, 2)),
            listed.nearest or "–",
        ]
        for example in examples
        for listed in example.listed
    ]
    headings = ["User (ratings)", "Item", "Prediction", "Most similar item that the user has rated"]
    said = "Unrated items with the highest predictions; similar are items whose vectors have a cosine near 1."
    return Section(
        "lists",
        f"Lists of {len(examples)} users",
        [Finding("lists", said)],
        [text_table(opening("unrated items with the highest predictions"), headings, rows)],
        folded=True,
    )
