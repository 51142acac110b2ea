"""Whether a new winner takes the place of the one in use: the champion, and who challenges it."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from recsys.errors import DamagedWinner
from recsys.store.artifacts import verified, with_checksum
from recsys.store.store import Store, sha256_of, write_atomically
from recsys.text import count
from recsys.winner.about import ABOUT
from recsys.winner.recommender import Recommender

DECISIONS = "history/winners.jsonl"
"""Path in the store of a file with a line of JSON for each decision."""


class Decision(BaseModel):
    """What became of a new winner.

    Attributes:
        outcome: first: there was none in use; new: it takes the place of the one in use; kept: that stays.
        report: of the comparison that the new winner is from.
        digest: SHA-256 of the new winner's winner.json.
        rows: test ratings that neither was fitted to.
        champion_mse: of the winner in use on these rows, in squared rating units; None if there are none.
        challenger_mse: of the new one, as it was scored.
        reason: in a sentence.
    """

    model_config = ConfigDict(frozen=True)

    outcome: Literal["first", "new", "kept"]
    report: str
    digest: str
    champion: str | None
    challenger: str
    rows: int = 0
    champion_mse: float | None = None
    challenger_mse: float | None = None
    reason: str


def decide(report: Path, champion: Path | None) -> Decision:
    """Return whether the winner of a report takes the place of the `champion`, a winner's folder, or None.

    Both are compared on the test ratings of the report that the champion was not fitted to: those of the report's
    winner are predicted by its fit without test ratings. The champion stays if its error is lower by more than the
    smallest effect that counts.

    Raises:
        DamagedWinner: the winner of the report is not complete and as it was written.
    """
    challenger = Recommender.load(report / "winner")
    effect = json.loads((report / "comparison.json").read_bytes())["min_effect"] or 0.0
    name = challenger.about.name
    told: dict[str, Any] = {
        "report": report.name,
        "digest": sha256_of(report / "winner" / ABOUT),
        "challenger": challenger.about.title,
    }
    if champion is None:
        return Decision(outcome="first", champion=None, reason="There was no winner in use.", **told)
    try:
        old = Recommender.load(champion)
    except DamagedWinner as error:
        reason = f"The winner in use cannot be read, so the new one is used. {error}"
        return Decision(outcome="new", champion=None, reason=reason, **told)
    told["champion"] = old.about.title
    path = report / "predictions.parquet"
    columns = ["user", "item", "rating", name]
    if name not in pq.read_schema(path).names:
        return Decision(outcome="kept", reason=f"{challenger.about.title} was not scored.", **told)
    rows = pd.read_parquet(path, columns=columns)
    rows = rows[~old.was_fitted_to(rows["user"], rows["item"])]
    if rows.empty:
        return Decision(
            outcome="new",
            reason="The winner in use was fitted to every test rating, so that it cannot be tested.",
            **told,
        )
    rating = rows["rating"].to_numpy(np.float64)
    of_old, of_new = (
        float(np.mean((predicted - rating) ** 2))
        for predicted in (old.predict(rows["user"], rows["item"]), rows[name].to_numpy(np.float64))
    )
    kept = of_new > of_old + effect
    reason = (
        f"On {count(len(rows), 'test rating')} that neither was fitted to, the MSE of the new winner, "
        f"{challenger.about.title}, is {of_new:.4f}, and of the one in use, {old.about.title}, {of_old:.4f}: "
    )
    reason += (
        f"the difference is more than {effect:.4g}, so the one in use stays."
        if kept
        else f"it is no worse by more than {effect:.4g}, so the new one is used."
    )
    mse = {"champion_mse": of_old, "challenger_mse": of_new}
    return Decision(outcome="kept" if kept else "new", rows=len(rows), reason=reason, **mse, **told)


def is_decided(store: Store, report: Path) -> bool:
    """Return whether the last decision on the winners of reports of this name was on the winner that it has now."""
    path = store.root / DECISIONS
    lines = path.read_bytes().splitlines() if path.exists() else []
    decisions = [Decision.model_validate(verified(line, path)) for line in lines]
    of_name = [decision for decision in decisions if decision.report == report.name]
    return bool(of_name) and of_name[-1].digest == sha256_of(report / "winner" / ABOUT)


def remember(store: Store, decision: Decision) -> None:
    """Append a decision to the store's history.

    Raises:
        OSError: the store cannot be written.
    """
    path = store.root / DECISIONS
    before = path.read_bytes() if path.exists() else b""
    write_atomically(path, before + with_checksum(decision.model_dump(mode="json")) + b"\n")
