"""Our steps before training: ingest, encode, split, and nothing else.

python -m tests.benchmarks.our_preparation ratings.csv
"""

import sys
import tempfile
from pathlib import Path

from recsys.data.encode import encode
from recsys.data.ingest import ingest
from recsys.data.split import split
from recsys.settings import DataSettings, SplitSettings

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        ingest(Path(sys.argv[1]), DataSettings(), folder)
        codes = encode(folder / "ratings.parquet", None, "keep", folder)
        split(codes["rows"], SplitSettings(), "notebook", folder)
