"""Benchmark 5: seconds to a given validation RMSE, our regularised matrix factorisation and four libraries.

    python -m tests.benchmarks.against_peers

The libraries are installed into build/benchmarks/peers, an environment of their own. Everybody fits the same
rows, with 50 factors (myFM: 32) and more and more epochs (myFM: samples, LensKit: sweeps), each time from the
beginning; what counts is the first fit that reaches the RMSE of Surprise's SVD after its default of 20 epochs.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
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
EPOCHS = (2, 5, 10, 20, 40, 80, 160)
DEFAULT_EPOCHS = 20
ROWS = 1_000_000
OURS: dict[str, tuple[str, ...]] = {"sample": (), "made": ("--batch", "1024", "--rate", "0.002", "--l2", "0.08")}


@dataclass(frozen=True)
class Reached:
    """The first fit that reached the target, or the longest."""

    ratings: str
    who: str
    target_rmse: float
    epochs: int
    rmse: float
    seconds: float
    reached: bool


Fit = Callable[[int], dict[str, float]]


def main() -> None:
    """Fit everything and print the table."""
    python = environment()
    found: list[Reached] = []
    with tempfile.TemporaryDirectory() as place:
        made = Path(place, "made.csv")
        write_ratings(made, ROWS)
        for name, source, most in (("sample", locate(DataSettings()).ratings, 100_000), ("made", made, None)):
            rows = rows_of(source, most, Path(place, name))
            fits: dict[str, Fit] = {"ours": partial(_ours, rows, OURS[name])}
            fits |= {
                peer: partial(fit_of_peer, python, rows, peer) for peer in ("surprise", "lenskit", "cornac", "myfm")
            }
            target = fits["surprise"](DEFAULT_EPOCHS)["rmse"]
            found += [_first_to_reach(target, name, who, fit) for who, fit in fits.items()]
    ours = {row.ratings: row.seconds for row in found if row.who == "ours"}
    ratios = {
        f"{row.ratings}: seconds of {row.who} / ours": row.seconds / ours[row.ratings]
        for row in found
        if row.who != "ours" and row.reached
    }
    report("against_peers", [asdict(row) for row in found], **ratios)


def _first_to_reach(target: float, ratings: str, who: str, fit: Fit) -> Reached:
    for epochs in EPOCHS:
        fitted = fit(epochs)
        reached = fitted["rmse"] <= target
        if reached:
            break
    return Reached(ratings, who, target, epochs, fitted["rmse"], fitted["seconds"], reached)


def environment() -> Path:
    """Return the Python of the peers' environment, which is made the first time."""
    folder = RESULTS / "peers"
    python = folder / "bin" / "python"
    if not (folder / ".installed").exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", folder], check=True)
        wanted = [f"{name}=={version}" for name, version in VERSIONS.items()]
        subprocess.run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *wanted], check=True)
        (folder / ".installed").touch()
    return python


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


def _ours(rows: Path, options: tuple[str, ...], epochs: int) -> dict[str, float]:
    fitted = run("-m", "tests.benchmarks.our_fit", str(rows), str(epochs), *options)
    return dict(json.loads(fitted.output.splitlines()[-1]))


if __name__ == "__main__":
    main()
