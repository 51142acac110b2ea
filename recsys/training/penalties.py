"""Penalties on the size of numbers, whose strengths the compiled loop takes as numbers."""

from typing import Any

from recsys.backend import keras

PENALTIES = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
"""The regularisers that the compiled loop knows."""


def strengths(regularizer: Any) -> tuple[float, float]:
    """What is paid for |w| and for w²; nothing where there is no regulariser."""
    return float(getattr(regularizer, "l1", 0.0)), float(getattr(regularizer, "l2", 0.0))
