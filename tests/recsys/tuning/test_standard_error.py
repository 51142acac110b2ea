"""Squared errors of trials in a store."""

from pathlib import Path

import numpy as np
import pytest

from recsys.store.fingerprint import Fingerprint
from recsys.store.store import Facts, Manifest, Store
from recsys.tuning.standard_error import squared_errors


def test_squared_errors_are_those_of_the_validation_ratings_in_rating_units(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def kept(kind: str, **arrays: list[float] | list[int]) -> Manifest:
        def build(folder: Path) -> Facts:
            for name, values in arrays.items():
                np.save(folder / f"{name}.npy", np.array(values))
            return {}

        return store.make(Fingerprint(kind, kind, inputs={}, settings={}, code={}, versions={}), build)

    codes = kept("codes", user=[0, 0, 1, 1], item=[0, 1, 0, 1], rating=[1.0, 2.0, 3.0, 4.5])
    training = kept("training", train=[0, 1], validation=[3, 2])
    trial = kept("trial", validation=[4, 5])
    assert squared_errors(store, codes, training)(trial) == pytest.approx([0.25, 4.0])
