"""Benchmark 4: ingest, encode and split against the notebook's steps, at 20 million ratings.

python -m tests.benchmarks.against_preparation
"""

from tests.benchmarks.made_ratings import made_ratings
from tests.benchmarks.measuring import report, run


def main() -> None:
    """Run both and print seconds, memory and their ratios."""
    ratings = str(made_ratings())
    ours = run("-m", "tests.benchmarks.our_preparation", ratings)
    theirs = run("-m", "tests.benchmarks.notebook_preparation", ratings)
    rows = [
        {"steps": name, "seconds": process.seconds, "peak MB": process.peak_mb}
        for name, process in (("notebook", theirs), ("ours", ours))
    ]
    report(
        "against_preparation",
        rows,
        seconds_ratio=theirs.seconds / ours.seconds,
        memory_ratio=theirs.peak_mb / ours.peak_mb,
    )


if __name__ == "__main__":
    main()
