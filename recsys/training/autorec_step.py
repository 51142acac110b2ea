"""The arithmetic of AutoRec, compiled: sums over known ratings only, in a fixed order, on one core.

The encoded side's ratings are rows in compressed form: row r has the entries ptr[r] … ptr[r + 1] - 1, each with the
code of its `column` (the other side) and its `residual`. All tables are float32 of shape (columns, units).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
"""Adam's defaults in Keras."""

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.integer]
F = np.float32

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function compiled; sums may be vectorised, the same on every run, and NaN and infinity are kept."""
    allowed = {"reassoc", "contract", "nsz", "arcp"}
    compile_it: Any = njit(nogil=True, cache=True, fastmath=allowed, error_model="numpy")
    found: Callable[P, R] = compile_it(function)
    return found


class Rows(NamedTuple):
    """The training ratings of the encoded side, `ptr` of shape (rows + 1,), the others of shape (ratings,).

    Of all ratings of the same row and column, the rating itself among them, there are `times`, and `together` is the
    sum of their residuals: what is left out of the input while one is predicted.
    """

    ptr: npt.NDArray[np.int64]
    column: npt.NDArray[np.int32]
    residual: Floats
    together: Floats
    times: Floats


class Weights(NamedTuple):
    """What turns a row into predictions; also, its gradients.

    A row's hidden units are sigmoid(hidden_bias + sum residual · input[column] + sum implicit[column]), and its
    prediction at a column is output[column] · hidden + output_bias[column].
    """

    input: Floats
    implicit: Floats
    output: Floats
    hidden_bias: Floats
    output_bias: Floats


@compiled
def sigmoid(x: np.float32) -> np.float32:
    """The logistic function to 1e-6 as a fraction of polynomials, which is vectorised as exp is not.

    The fraction is tanh(x / 2) as Eigen has it (generic_fast_tanh_float).
    """
    x = min(F(9), max(F(-9), F(0.5) * x))
    y = x * x
    p = F(-2.76076847742355e-16) * y + F(2.00018790482477e-13)
    p = (p * y + F(-8.60467152213735e-11)) * y + F(5.12229709037114e-08)
    p = ((p * y + F(1.48572235717979e-05)) * y + F(6.37261928875436e-04)) * y + F(4.89352455891786e-03)
    q = (F(1.19825839466702e-06) * y + F(1.18534705686654e-04)) * y + F(2.26843463243900e-03)
    return F(0.5) + F(0.5) * x * p / (q * y + F(4.89352518554385e-03))


@compiled
def add_inputs(row: int, rows: Rows, weights: Weights, indicator: np.float32, sums: Floats) -> None:
    """Write the sums before the sigmoid of a row's hidden units into `sums`, shape (units,)."""
    sums[:] = weights.hidden_bias
    for place in range(rows.ptr[row], rows.ptr[row + 1]):
        residual, column = rows.residual[place], rows.column[place]
        value, rated = weights.input[column], weights.implicit[column]
        for k in range(len(sums)):
            sums[k] += residual * value[k] + indicator * rated[k]


@compiled
def encode(rows: Rows, weights: Weights, indicator: np.float32) -> Floats:
    """Return the hidden units of all rows, float32 of shape (rows, units)."""
    hidden = np.empty((len(rows.ptr) - 1, len(weights.hidden_bias)), np.float32)
    for row in range(len(hidden)):
        add_inputs(row, rows, weights, indicator, hidden[row])
        for k in range(hidden.shape[1]):
            hidden[row, k] = sigmoid(hidden[row, k])
    return hidden


@compiled
def decode(hidden: Floats, weights: Weights, row: Codes, column: Codes) -> Floats:
    """Return predicted residuals, float32 of the shape of the codes `row` and `column`, by `encode`'s hidden units."""
    predicted = np.empty(len(row), np.float32)
    for place in range(len(row)):
        of_row, of_column = hidden[row[place]], weights.output[column[place]]
        dot = F(0)
        for k in range(hidden.shape[1]):
            dot += of_row[k] * of_column[k]
        predicted[place] = dot + weights.output_bias[column[place]]
    return predicted


@compiled
def add_gradients(
    batch: Codes, rows: Rows, weights: Weights, indicator: np.float32, left_out: np.float32, gradients: Weights
) -> float:
    """Add the gradients of half the squared error of some rows to `gradients`; return their squared error.

    Args:
        batch: codes of rows.
        indicator: float32, 1 where the input also says which columns are known, else 0.
        left_out: float32, 1 where a rating, with all of the same pair, is left out of the input while it is predicted.
    """
    units = len(weights.hidden_bias)
    sums, hidden, slope, slopes = np.empty((4, units), np.float32)
    loss = 0.0
    for row in batch:
        add_inputs(row, rows, weights, indicator, sums)
        slopes[:] = 0
        for place in range(rows.ptr[row], rows.ptr[row + 1]):
            column, residual = rows.column[place], rows.residual[place]
            together, known = rows.together[place], indicator * rows.times[place]
            value, rated, output = weights.input[column], weights.implicit[column], weights.output[column]
            dot = F(0)
            for k in range(units):
                hidden[k] = sigmoid(sums[k] - left_out * (together * value[k] + known * rated[k]))
                dot += output[k] * hidden[k]
            error = dot + weights.output_bias[column] - residual
            loss += error * error
            gradients.output_bias[column] += error
            of_value, of_rated, of_output = (
                gradients.input[column],
                gradients.implicit[column],
                gradients.output[column],
            )
            for k in range(units):
                of_output[k] += error * hidden[k]
                slope[k] = error * output[k] * hidden[k] * (F(1) - hidden[k])
                slopes[k] += slope[k]
                of_value[k] -= left_out * together * slope[k]
                of_rated[k] -= left_out * known * slope[k]
        for k in range(units):
            gradients.hidden_bias[k] += slopes[k]
        for place in range(rows.ptr[row], rows.ptr[row + 1]):
            column, residual = rows.column[place], rows.residual[place]
            of_value, of_rated = gradients.input[column], gradients.implicit[column]
            for k in range(units):
                of_value[k] += residual * slopes[k]
                of_rated[k] += indicator * slopes[k]
    return loss


@compiled
def kernel(u: Floats, v: Floats) -> Floats:
    """Return max(0, 1 - |u_i - v_j|²), float32 of shape (columns, units), of places u and v, shape (…, dimensions)."""
    found = np.empty((len(u), len(v)), np.float32)
    for i in range(len(u)):
        for j in range(len(v)):
            distance = F(0)
            for k in range(u.shape[1]):
                distance += (u[i, k] - v[j, k]) ** 2
            found[i, j] = max(F(0), F(1) - distance)
    return found


@compiled
def add_kernel_gradients(
    table: Floats,
    u: Floats,
    v: Floats,
    kernel: Floats,
    l2: np.float32,
    gradient: Floats,
    of_u: Floats,
    of_v: Floats,
) -> None:
    """Turn `gradient`, that of table · kernel, into that of `table`, and add those of the places to `of_u` and `of_v`.

    Half of `l2` times the kernel's squares is a part of what they are the gradients of.
    """
    for i in range(len(u)):
        for j in range(len(v)):
            if kernel[i, j] > 0:
                of_kernel = gradient[i, j] * table[i, j] + l2 * kernel[i, j]
                for k in range(u.shape[1]):
                    pull = F(2) * of_kernel * (u[i, k] - v[j, k])
                    of_u[i, k] -= pull
                    of_v[j, k] += pull
            gradient[i, j] *= kernel[i, j]


@compiled
def adam_step(weights: Floats, gradient: Floats, m: Floats, v: Floats, step_size: np.float32, l2: np.float32) -> None:
    """Make a step of Adam with L2 regularisation on flat arrays, and set the gradient to 0."""
    for i in range(len(weights)):
        slope = gradient[i] + l2 * weights[i]
        m[i] += (slope - m[i]) * F(1 - BETA_1)
        v[i] += (slope * slope - v[i]) * F(1 - BETA_2)
        weights[i] -= step_size * m[i] / (math.sqrt(v[i]) + F(EPSILON))
        gradient[i] = F(0)
