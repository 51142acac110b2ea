"""Recognising the columns of users, items, ratings and timestamps by their names."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

from recsys.data.settings import DataSettings
from recsys.errors import BadRatings
from recsys.text import listed, quoted

Role = Literal["user", "item", "rating", "timestamp"]
FoundBy = Literal["name", "position", "ids", "option", "layout"]
"""How the column of a role was found: by its name, its position, the form of its ids, an option, or in a wide table."""

ROLES: tuple[Role, ...] = ("user", "item", "rating", "timestamp")
REQUIRED: tuple[Role, ...] = ("user", "item", "rating")

# A name of an earlier line wins over one of a later line; two names of one line in a file are ambiguous. Written as
# `_plain` returns them: lower case, without "_", "-", blanks and RecBole's types.
NAMES: dict[Role, list[str]] = {
    "user": [
        "userid user uid",
        "reviewerid customerid memberid accountid personid profileid viewerid readerid listenerid raterid",
        "reviewer customer member account person viewer reader listener rater",
        "username userindex useridx reviewername",
    ],
    "item": [
        "itemid item iid",
        "movieid filmid showid animeid bookid productid businessid songid trackid artistid gameid recipeid jokeid "
        "articleid courseid placeid asin isbn isbn10",
        "isbn13 parentasin",
        "movie film show anime book product business song track artist game recipe joke article course place",
        "itemname itemindex itemidx movietitle booktitle producttitle title",
    ],
    "rating": [
        "rating",
        "ratings stars score overall overallrating userrating bookrating movierating reviewrating ratingvalue "
        "starrating reviewscore reviewoverall",
        "value label grade",
    ],
    "timestamp": [
        "timestamp ts unixreviewtime unixtime",
        "time datetime ratedat ratingtime ratingtimestamp reviewtime reviewtimestamp createdat",
        "date ratingdate reviewdate datetimerated",
    ],
}


def recognise(
    names: Sequence[str],
    settings: DataSettings,
    file: str,
    *,
    header: bool,
    advice: str = "",
    blank: Collection[int] = (),
    required: Sequence[Role] = REQUIRED,
) -> dict[Role, int]:
    """Return the index into `names` of the column of each role, without those not `required` where there is none.

    Columns that the settings name are taken first. The others are recognised by their names or, without a header,
    taken in the order user, item, rating, timestamp from what is left, those before the last one `required` only if
    required themselves.

    Without a `header`, the `names` are numbers from "1". `blank` are indices of empty columns, which are taken only if
    the settings name them; `advice` is what else the user may try if a column is missing.

    Raises:
        BadRatings: a named column does not exist or is named for two roles, or a role has no column or several.
    """
    roles: dict[Role, int] = {}
    for role in ROLES:
        if (wanted := getattr(settings, f"{role}_column")) is None:
            continue
        index = _named(wanted, names, role, file)
        if other := next((other for other, taken in roles.items() if taken == index), None):
            raise BadRatings(
                f"{file}: column {quoted(wanted)} cannot hold both the {other} and the {role}; "
                f"name another one with --{role}-column."
            )
        roles[role] = index
    for role in ROLES:
        if role in roles or not (header or role in required or ROLES.index(role) > ROLES.index(required[-1])):
            continue
        free = [index for index in range(len(names)) if index not in {*roles.values(), *blank}]
        found = _recognised(role, [(names[index], index) for index in free], file) if header else free[:1]
        if found:
            roles[role] = found[0]
        elif role in required:
            raise BadRatings(
                f"{file} has no column that looks like the {role} among its columns ({listed(names)}); "
                f"name it with --{role}-column{advice}."
            )
    return {role: roles[role] for role in ROLES if role in roles}


def named_by(roles: Iterable[Role], settings: DataSettings) -> dict[Role, FoundBy]:
    """How columns with names were found: by an option of the settings, or by their names."""
    return {role: "name" if getattr(settings, f"{role}_column") is None else "option" for role in roles}


def described(columns: Mapping[Any, str], found_by: Mapping[Any, str]) -> str:
    """Say in words which column holds what, and why: user is "userId", rating is "stars" (by their names).

    Args:
        columns: name of the column of each role; its number, from "1", without a header.
        found_by: how each was found, as in `FoundBy`.
    """
    said = []
    for why, roles in groupby(columns, key=found_by.__getitem__):
        several = [f"{role} is {_shown(columns[role], why)}" for role in roles]
        said.append(f"{', '.join(several)} ({WHY[why]})")
    return ", ".join(said)


WHY = {
    "name": "by name",
    "position": "by position, as there is no header",
    "ids": "by the form of Amazon's ids",
    "option": "by option",
    "layout": "wide table",
}


def _shown(name: str, why: str) -> str:
    return name if why == "layout" else f"column {name}" if name.isdigit() else f"“{quoted(name)[1:-1]}”"


def _named(wanted: str, names: Sequence[str], role: Role, file: str) -> int:
    matches = [index for index, name in enumerate(names) if name == wanted]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise BadRatings(f"{file} has {len(matches)} columns named {quoted(wanted)}; rename all but one of them.")
    plain = [_plain(name) for name in names]
    close = difflib.get_close_matches(_plain(wanted), plain, n=1)
    hint = f"; did you mean {quoted(names[plain.index(close[0])])}?" if close else f"; correct --{role}-column."
    raise BadRatings(f"{file} has no column {quoted(wanted)} among its columns ({listed(names)}){hint}")


def _recognised(role: Role, candidates: list[tuple[str, int]], file: str) -> list[int]:
    for line in NAMES[role]:
        found = [(name, index) for name, index in candidates if _plain(name) in line.split()]
        if len(found) > 1:
            raise BadRatings(
                f"{file} has more than one column that may be the {role} ({listed(name for name, _ in found)}); "
                f"say which with --{role}-column."
            )
        if found:
            return [found[0][1]]
    return []


def _plain(name: str) -> str:
    """The name without case, "_", "-", blanks and RecBole's type."""
    return re.sub(r":(token|float)(_seq)?$|[-_\s]", "", name.strip().casefold())
