"""A fuzzer of the reader: python fuzz_reader.py CORPUS SECONDS.

It changes files of the corpus, bit by bit and led by which lines of code they reach, and gives them to the reader.
Whatever is raised but a sentence for the user ends it with an exit code that is not 0, and the file is kept.
"""

import logging
import sys
from pathlib import Path
from tempfile import mkdtemp

import atheris

with atheris.instrument_imports(include=["recsys.data"]):
    from recsys.data.ingest import ingest
    from recsys.errors import UserError
    from recsys.settings import DataSettings

LONGEST = 4096

WAYS = (
    DataSettings(bad_rows="quarantine"),
    DataSettings(),
    DataSettings(bad_rows="quarantine", header="no", separator="double-colon"),
    DataSettings(bad_rows="quarantine", quoting="none"),
    DataSettings(bad_rows="quarantine", quoting="standard", separator="tab"),
    DataSettings(bad_rows="quarantine", encoding="latin-1"),
    DataSettings(bad_rows="quarantine", encoding="utf-16-le"),
    DataSettings(bad_rows="quarantine", skip_lines=1),
    DataSettings(bad_rows="quarantine", separator="blank"),
)

PLACE = Path(mkdtemp(prefix="fuzzing-", dir=sys.argv[1]))


def read(content: bytes) -> None:
    """Give a file to the reader, in the way that its first byte says."""
    if not content:
        return
    path = PLACE / "ratings"
    path.write_bytes(content[1:])
    sentence = ""
    try:
        ingest(path, WAYS[content[0] % len(WAYS)], PLACE)
    except UserError as error:
        sentence = str(error)
    assert sentence.isprintable(), sentence


if __name__ == "__main__":
    logging.disable()
    corpus, seconds = sys.argv[1:]
    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-artifact_prefix={corpus}/", "-seed=1"]
    atheris.Setup([sys.argv[0], *options, f"{corpus}/files"], read)
    atheris.Fuzz()
