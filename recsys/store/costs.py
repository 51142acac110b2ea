"""What tasks cost: seconds and memory, from what they cost before in this store, or else from shipped figures.

A curve, fixed seconds plus some for each rating and epoch, says how a task's cost grows; what the most similar of its
past artefacts took, over what the curve says of them, moves the curve to this machine and these settings.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

from recsys.errors import DamagedArtefact
from recsys.store.artifacts import MADE_FROM, MANIFEST, FileEntry, Manifest, manifest_in, verified
from recsys.store.fingerprint import Fingerprint
from recsys.store.store import Store

LAYERS_OF_DATA = ("ratings", "codes", "splits")
"""Layers whose files others are made from, in this order."""

SEEDS = {"seed", "split_seed"}
"""Settings on which no cost hangs."""


MANY_RATINGS = 250_000
"""With more ratings than these, models are trained for fewer epochs, and first tried on a sample of the users."""


@dataclass(frozen=True)
class Curve:
    """The cost of a task: `fixed` seconds, and so many `per_epoch` and million ratings; memory in 10⁶ bytes.

    `epochs` are those where none are known, `power` is that of the ratings by which the cost then grows beyond
    MANY_RATINGS (where epochs are known, only that of `sampled` tasks, which fit a sample of more ratings), and
    `megabytes` what the process holds of next to no ratings.
    """

    fixed: float
    per_epoch: float
    epochs: int = 1
    power: float = 1.0
    sampled: bool = False
    megabytes: float = 1450.0
    megabytes_per_million: float = 190.0

    def seconds(self, rows: int, epochs: int | None) -> float:
        """Seconds of so many ratings and epochs."""
        power = self.power if epochs is None or self.sampled else 1.0
        work = min(rows, MANY_RATINGS) * math.pow(max(rows, MANY_RATINGS) / MANY_RATINGS, power)
        return self.fixed + self.per_epoch * (epochs or self.epochs) * work / 1e6

    def memory(self, rows: int) -> float:
        """Memory for so many ratings."""
        return self.megabytes + self.megabytes_per_million * rows / 1e6


SHIPPED: Mapping[str, Curve] = {
    "ingest": Curve(0.5, 0.35, megabytes=970, megabytes_per_million=7),
    "encode": Curve(0.1, 0.2, megabytes=980, megabytes_per_million=6),
    "split": Curve(0.05, 0.12, megabytes=980, megabytes_per_million=23),
    "use_all": Curve(0.01, 0.01, megabytes_per_million=45),
    "train_mf": Curve(0.5, 1.1, 10, megabytes_per_million=45),
    "train_dnn": Curve(1.0, 6.0, 10, megabytes_per_million=45),
    "try_mf": Curve(2.0, 3.6, 16, 0.3, sampled=True),
    "train_mf_tuned": Curve(1.0, 3.6, 16, 0.6),
    "try_bayes_mf": Curve(1.0, 0.7, 140, 0.3, sampled=True),
    "train_bayes_mf": Curve(1.0, 0.7, 140, 0.5),
    "try_dnn": Curve(2.0, 5.0, 10, 0.3, sampled=True, megabytes_per_million=85),
    "train_dnn_tuned": Curve(1.0, 5.0, 10, 0.6, megabytes_per_million=85),
    "try_towers": Curve(2.0, 4.5, 18, 0.3, sampled=True),
    "train_towers": Curve(1.0, 4.5, 18, 0.6),
    "try_autorec": Curve(1.0, 0.7, 40, 0.3, sampled=True),
    "train_autorec": Curve(1.0, 0.7, 40, 0.6),
    "score": Curve(4.0, 30.0),
    "blend": Curve(1.0, 10.0),
    "winner": Curve(2.0, 15.0, power=0.6),
    "report": Curve(5.0, 60.0, power=0.55, megabytes=1650, megabytes_per_million=17),
}
"""Of two cores, most on the embedded sample; totals are those of docs/benchmarks.md and deployments/SCALING.md."""

AFTER = "after "

UNKNOWN_TASK = Curve(1.0, 3.0, 10)


@dataclass(frozen=True)
class Cost:
    """What a run of a task takes; `measured` if that is told by past runs, not by the shipped figures."""

    seconds: float
    megabytes: float
    measured: bool


@dataclass(frozen=True)
class _Past:
    rows: int
    traits: Mapping[str, Any]
    epochs: int | None
    seconds: float
    megabytes: float | None


def after(task: str) -> Manifest:
    """Return what stands for the result of a task that has not run, among the arguments that a fingerprint is of."""
    awaited = FileEntry(path=task, sha256=f"{AFTER}{task}", bytes=0)
    return Manifest(kind=task, key="", files=[awaited], facts={}, seconds=0.0)


class Costs:
    """The costs of the tasks of a store, whose artefacts are read when the first is asked for.

    Those that this machine has fetched from a shared store count as its own.
    """

    def __init__(self, store: Store) -> None:
        """Learn from the artefacts of `store`."""
        self._root = store.root

    def cost(self, wanted: Fingerprint, rows: int) -> Cost:
        """Return what it takes to make an artefact from a data set of so many ratings.

        What is not known of `wanted` is `after` some task.
        """
        curve, epochs, traits = SHIPPED.get(wanted.task, UNKNOWN_TASK), _epochs(wanted), self._traits(wanted)
        past = self._past.get(wanted.task, [])
        distances = [
            (_differences(traits, one.traits), round(abs(math.log(max(rows, 1) / one.rows)), 1)) for one in past
        ]
        least = min(distances, default=None)
        nearest = [one for one, distance in zip(past, distances, strict=True) if distance == least]
        seconds, memory = curve.seconds(rows, epochs), curve.memory(rows)
        if not nearest:
            return Cost(seconds, memory, measured=False)
        paces = [one.seconds / curve.seconds(one.rows, epochs and one.epochs) for one in nearest]
        held = [one.megabytes / curve.memory(one.rows) for one in nearest if one.megabytes]
        return Cost(seconds * median(paces), memory * (max(held) if held else 1.0), measured=True)

    def reads(self, wanted: Fingerprint) -> set[str]:
        """Return the tasks whose results go into an artefact, as far as they are known or to be waited for."""
        leaves = _leaves([wanted.inputs, wanted.settings])
        return {maker for leaf in leaves if (maker := self._maker(leaf)) is not None}

    @cached_property
    def _past(self) -> Mapping[str, list[_Past]]:
        found: dict[str, list[_Past]] = {}
        for fingerprint, manifest in self._artefacts:
            if rows := self._rows(fingerprint, manifest):
                megabytes = manifest.get("peak_mb", manifest["facts"].get("peak_mb"))
                past = _Past(rows, self._traits(fingerprint), _epochs(fingerprint), manifest["seconds"], megabytes)
                found.setdefault(fingerprint.task, []).append(past)
        return found

    @cached_property
    def _made(self) -> Mapping[str, tuple[str, int]]:
        """Digest of a file -> the task that made it, and the ratings of the data set that it was made from."""
        made: dict[str, tuple[str, int]] = {}
        for fingerprint, manifest in self._artefacts:
            sources = [made[leaf][1] for leaf in _leaves(fingerprint.inputs) if leaf in made]
            rows = manifest["facts"].get("rows") or max(sources, default=0)
            for entry in manifest["files"]:
                made.setdefault(entry["sha256"], (fingerprint.task, rows))
        return made

    @cached_property
    def _artefacts(self) -> list[tuple[Fingerprint, Manifest]]:
        """All artefacts, those first that others are made from."""
        found = []
        for path in self._root.glob(f"*/[!.]*/{MANIFEST}"):
            with suppress(OSError, DamagedArtefact, TypeError):  # pruned meanwhile, damaged, of another version
                manifest = manifest_in(path.read_bytes(), path.parent)
                fingerprint = Fingerprint(**verified((path.parent / MADE_FROM).read_bytes(), MADE_FROM))
                found.append((fingerprint, manifest))
        order = {layer: place for place, layer in enumerate(LAYERS_OF_DATA)}
        return sorted(found, key=lambda one: (order.get(one[0].layer, len(order)), one[0].task))

    def _rows(self, fingerprint: Fingerprint, manifest: Manifest) -> int:
        return max((self._made[entry["sha256"]][1] for entry in manifest["files"]), default=0)

    def _maker(self, leaf: Any) -> str | None:
        if not isinstance(leaf, str):
            return None
        return leaf.removeprefix(AFTER) if leaf.startswith(AFTER) else self._made.get(leaf, (None, 0))[0]

    def _traits(self, fingerprint: Fingerprint) -> Mapping[str, Any]:
        """The settings by dotted name, without seeds, and of each input the tasks that made it; unknown ones lack."""
        traits = {name: value for name, value in _flat(fingerprint.settings) if name.rpartition(".")[2] not in SEEDS}
        for name, content in fingerprint.inputs.items():
            traits[f"{name} from"] = sorted({maker for leaf in _leaves(content) if (maker := self._maker(leaf))})
        return traits


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    return sum(one[name] != other[name] for name in one.keys() & other.keys())


def _epochs(fingerprint: Fingerprint) -> int | None:
    settings = fingerprint.settings.get("settings")
    return settings.get("epochs") if isinstance(settings, dict) else None


def _leaves(part: Any) -> Iterator[Any]:
    parts = part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else None
    if parts is None:
        yield part
    else:
        for inner in parts:
            yield from _leaves(inner)


def _flat(part: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(part, Mapping) and "files" not in part:
        for name, inner in part.items():
            yield from _flat(inner, f"{prefix}.{name}" if prefix else name)
    elif not isinstance(part, Mapping):
        yield prefix, part
