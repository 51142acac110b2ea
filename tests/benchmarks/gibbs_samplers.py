"""Benchmark: our Gibbs sampler and myFM's, the same model, rank and numbers of sweeps and draws on the same rows.

    python -m tests.benchmarks.gibbs_samplers

Both sample factors without side information and with one noise: 32 factors, half of the sweeps count.
"""

import json
import tempfile
from pathlib import Path

from recsys.data.source import locate
from recsys.settings import DataSettings
from tests.benchmarks.against_peers import environment, fit_of_peer, rows_of
from tests.benchmarks.made_ratings import write_ratings
from tests.benchmarks.measuring import report, run

SWEEPS = {"sample": 100, "made": 30}
ROWS = 1_000_000


def main() -> None:
    """Fit both on both sets of ratings and print the table."""
    python = environment()
    found, ratios = [], {}
    with tempfile.TemporaryDirectory() as place:
        made = Path(place, "made.csv")
        write_ratings(made, ROWS)
        for name, source, most in (("sample", locate(DataSettings()).ratings, 100_000), ("made", made, None)):
            rows, sweeps = rows_of(source, most, Path(place, name)), SWEEPS[name]
            finished = run("-m", "tests.benchmarks.our_fit", str(rows), "gibbs", str(sweeps))
            fits = {
                "ours": json.loads(finished.output.splitlines()[-1]),
                "myfm": fit_of_peer(python, rows, "myfm", sweeps),
            }
            found += [
                {"ratings": name, "who": who, "sweeps": sweeps, "seconds": fit["seconds"], "rmse": fit["rmse"]}
                for who, fit in fits.items()
            ]
            ratios[f"{name}: seconds of myfm / ours"] = fits["myfm"]["seconds"] / fits["ours"]["seconds"]
    report("gibbs_samplers", found, **ratios)


if __name__ == "__main__":
    main()
