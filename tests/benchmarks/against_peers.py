"""Benchmark 5: seconds to a validation RMSE, and the best one, of our matrix factorisation and five libraries.

    python -m tests.benchmarks.against_peers

The libraries are installed into build/benchmarks/peers, an environment of their own; cmfrec is compiled, where there is
a compiler. Everybody fits the same rows, with 50 factors (myFM: 32, our Bayesian MF: 15 and both histories) and more
and more epochs (sweeps, samples), each time from the beginning. The target is the RMSE of Surprise's SVD after its
default of 20 epochs; the seconds to it are those of the first fit that reaches it. Further fits are made while they
take no more than LONGEST seconds and the RMSE still falls. Ours is compiled once, and read from disk afterwards: `als,
compiled` has nothing on disk.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from recsys.data.encode import encode
from recsys.data.ingest import ingest
from recsys.data.source import locate
from recsys.settings import DataSettings
from tests.benchmarks.made_ratings import write_ratings
from tests.benchmarks.measuring import RESULTS, ROOT, report, run

VERSIONS = {
    "scikit-surprise": "1.1.5",
    "lenskit": "2025.8.1",
    "cornac": "3.0.1",
    "myfm": "0.4.0",
    "setuptools": "80.9.0",
}
"""Setuptools because myFM asks it for its own version."""
COMPILED_VERSIONS = {"cmfrec": "3.5.1.post14"}
EPOCHS = (1, 2, 3, 5, 10, 20, 40, 80, 160, 320)
DEFAULT_EPOCHS = 20
ROWS = 1_000_000
LONGEST = 60.0
OURS, PEERS = ("als", "adam", "bayes_mf"), ("surprise", "lenskit", "cornac", "myfm", "cmfrec")
COMPILED = "als, compiled"


@dataclass(frozen=True)
class Found:
    """What a method's fits came to; `epochs` and `seconds` are of the first that reached the target, None if none did.

    `peak_mb` is the largest resident memory of a process that fits, libraries included.
    """

    ratings: str
    who: str
    target_rmse: float
    epochs: int | None
    seconds: float | None
    best_rmse: float
    best_epochs: int
    best_seconds: float
    peak_mb: float


Fit = Callable[[int], dict[str, float]]


def main() -> None:
    """Fit everything and print the table."""
    python = environment()
    found: list[Found] = []
    with tempfile.TemporaryDirectory() as place:
        made = Path(place, "made.csv")
        write_ratings(made, ROWS)
        for name, source, most in (("sample", locate(DataSettings()).ratings, 100_000), ("made", made, None)):
            rows = rows_of(source, most, Path(place, name))
            fits: dict[str, Fit] = {who: partial(_ours, rows, who) for who in OURS}
            fits |= {peer: partial(fit_of_peer, python, rows, peer) for peer in PEERS if _installed(python, peer)}
            target = fits["surprise"](DEFAULT_EPOCHS)["rmse"]
            of_these = [_measured(target, name, who, fit) for who, fit in fits.items()]
            als = of_these[OURS.index("als")]
            cold = partial(_ours, rows, "als", NUMBA_CACHE_DIR=str(Path(place, f"compiled-{name}")))
            found += [*of_these, _measured(target, name, COMPILED, cold, [als.epochs or 1])]
    ours = {row.ratings: row.seconds for row in found if row.who == "als"}
    ratios = {
        f"{row.ratings}: seconds of {row.who} / als": row.seconds / own
        for row in found
        if (own := ours[row.ratings]) and row.seconds and row.who != "als"
    }
    report("against_peers", [asdict(row) for row in found], **ratios)


def _measured(target: float, ratings: str, who: str, fit: Fit, numbers: Sequence[int] = EPOCHS) -> Found:
    fits: dict[int, dict[str, float]] = {}
    for epochs in numbers:
        fitted = fit(epochs)
        risen = fits and fitted["rmse"] > fits[max(fits)]["rmse"]
        if fits and fitted["seconds"] > LONGEST:
            break
        fits[epochs] = fitted
        if risen and _reached(fits, target):
            break
    first = _reached(fits, target)
    best = min(fits, key=lambda epochs: fits[epochs]["rmse"])
    return Found(
        ratings,
        who,
        target,
        first,
        fits[first]["seconds"] if first else None,
        fits[best]["rmse"],
        best,
        fits[best]["seconds"],
        max(fitted["peak_mb"] for fitted in fits.values()),
    )


def _reached(fits: Mapping[int, dict[str, float]], target: float) -> int | None:
    """The smallest number of epochs whose fit reached the target."""
    return next((epochs for epochs in fits if fits[epochs]["rmse"] <= target), None)


def environment() -> Path:
    """Return the Python of the peers' environment, which is made the first time."""
    folder = RESULTS / "peers"
    python = folder / "bin" / "python"
    if not (folder / ".installed").exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", folder], check=True)
        wanted = [f"{name}=={version}" for name, version in VERSIONS.items()]
        subprocess.run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *wanted], check=True)
        compiled = [f"{name}=={version}" for name, version in COMPILED_VERSIONS.items()]
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *compiled], check=False)
        (folder / ".installed").touch()
    return python


def _installed(python: Path, peer: str) -> bool:
    found = subprocess.run([python, "-c", f"import importlib.util as u; exit(u.find_spec({peer!r}) is None)"])
    return found.returncode == 0


def rows_of(source: Path, most: int | None, folder: Path) -> Path:
    """Write the codes of training and validation rows, 90 and 10 %, as one .npz file."""
    folder.mkdir()
    ingest(source, DataSettings(max_rows=most), folder)
    encode(folder / "ratings.parquet", None, "keep", folder)
    columns = {name: np.load(folder / f"{name}.npy") for name in ("user", "item", "rating")}
    train, validation = train_test_split(np.arange(len(columns["rating"])), test_size=0.1, random_state=42)
    parts = {f"t_{name}": column[train] for name, column in columns.items()}
    parts |= {f"v_{name}": column[validation] for name, column in columns.items()}
    np.savez(folder / "rows.npz", **parts)
    return folder / "rows.npz"


def fit_of_peer(python: Path, rows: Path, peer: str, epochs: int) -> dict[str, float]:
    script = ROOT / "tests" / "benchmarks" / "peer_fit.py"
    quiet = {**os.environ, "TQDM_DISABLE": "1"}
    finished = subprocess.run(
        [python, script, rows, peer, str(epochs)], capture_output=True, text=True, env=quiet, check=False
    )
    if finished.returncode:
        raise RuntimeError(f"{peer} ended with {finished.returncode}:\n{finished.stderr[-3000:]}")
    return dict(json.loads(finished.stdout.splitlines()[-1]))


def _ours(rows: Path, who: str, epochs: int, **environment: str) -> dict[str, float]:
    fitted = run("-m", "tests.benchmarks.our_fit", str(rows), who, str(epochs), **environment)
    return {**json.loads(fitted.output.splitlines()[-1]), "peak_mb": fitted.peak_mb}


if __name__ == "__main__":
    main()
