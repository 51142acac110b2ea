"""The whole comparison of a small made file is the one on record, on the same kind of processor to the last digit."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.settings import Protocol
from tests.factories import small_settings, write_ratings

RECORDS = Path(__file__).parent.parent / "golden"

CLOCKS = {
    *("started", "ended", "fit_seconds", "seconds", "seconds_used", "predict_microseconds"),
    *("peak_mb", "watt_hours", "energy_unmeasured", "file_bytes", "device", "finished", "hours"),
    "checks",
}
"""Keys of what differs from run to run or from machine to machine, and of the sentences of the checks, which have such
numbers in them; `file_bytes` hangs on Keras's version."""

PROCESSOR = " ".join(
    line.split(":")[1].strip()
    for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    if line.split("\t")[0] in ("vendor_id", "cpu family", "model")
)
"""Vendor, family and model, by which NumPy, SciPy, XLA and Numba choose kernels and block sizes: the last digits."""

LOOSE = 1e-4
"""Largest relative difference on another kind of processor than the one on record."""


def without_clocks(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: without_clocks(value) for key, value in document.items() if key not in CLOCKS}
    if isinstance(document, list):
        return [without_clocks(part) for part in document]
    return document


def leaves(document: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(document, dict | list):
        pairs = document.items() if isinstance(document, dict) else enumerate(document)
        for key, value in pairs:
            yield from leaves(value, f"{place}.{key}")
    else:
        yield place, document


@pytest.mark.timeout(900)  # on a busy machine
@pytest.mark.parametrize("protocol", ["fair", "notebook"])
def test_the_comparison_is_the_one_on_record(protocol: Protocol, prefect_server: str, tmp_path: Path) -> None:
    from flows.compare import compare

    settings = small_settings(
        write_ratings(tmp_path / "ratings.csv", rows=2000, users=90, items=70, seed=15),
        tmp_path,
        protocol=protocol,
        mf_tuned={"implicit": "both"},
        tuning={"budget": 0.25, "trial_epochs": 4},
        evidence={"seeds": 2, "splits": 2 if protocol == "fair" else 1, "resamples": 100},
        ranking={"ranking_users": 20},
    )
    report = Path(compare(settings))
    found = without_clocks(json.loads((report / "comparison.json").read_text()))
    del found["verdict"]  # says what takes longer
    path = RECORDS / f"{protocol}.json"
    if not path.exists():
        path.write_text(json.dumps({"processor": PROCESSOR, "comparison": found}, indent=1) + "\n")
        pytest.fail(f"{path} was missing and has been written: look at it, and commit it")
    record = json.loads(path.read_text())
    expected, now = dict(leaves(record["comparison"])), dict(leaves(found))
    assert expected.keys() <= now.keys()
    exact = record["processor"] == PROCESSOR
    different = {
        place: (value, now[place])
        for place, value in expected.items()
        if now[place] != value
        and (exact or not isinstance(value, float) or not np.isclose(now[place], value, rtol=LOOSE, atol=LOOSE))
    }
    assert not different
