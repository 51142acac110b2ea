"""The notebook's steps before training: read, encode, split, write both parts as CSV.

python -m tests.benchmarks.notebook_preparation ratings.csv
"""

import sys
import tempfile

import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder

if __name__ == "__main__":
    ratings = pd.read_csv(sys.argv[1])
    for column in ("userId", "movieId"):
        ratings[column] = LabelEncoder().fit_transform(ratings[column])
    train, test = train_test_split(ratings, test_size=0.2, random_state=42)
    with tempfile.TemporaryDirectory() as folder:
        train.to_csv(f"{folder}/train_data.csv", index=False)
        test.to_csv(f"{folder}/test_data.csv", index=False)
