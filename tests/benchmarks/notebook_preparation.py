"""The notebook's steps before training: read, encode, split, write both parts as CSV.

python -m tests.benchmarks.notebook_preparation ratings.csv
"""

import sys
import tempfile
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder


def prepare(path: Path, rows: int | None = None) -> tuple[pd.DataFrame, pd.DataFrame, int, int]:
    """Return training rows, test rows, the number of users and that of items."""
    ratings = pd.read_csv(path).head(rows if rows is not None else sys.maxsize)
    for column in ("userId", "movieId"):
        ratings[column] = LabelEncoder().fit_transform(ratings[column])
    train, test = train_test_split(ratings, test_size=0.2, random_state=42)
    with tempfile.TemporaryDirectory() as folder:
        train.to_csv(f"{folder}/train_data.csv", index=False)
        test.to_csv(f"{folder}/test_data.csv", index=False)
    return train, test, ratings["userId"].nunique(), ratings["movieId"].nunique()


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
