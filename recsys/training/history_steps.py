"""Steps of Adam over all users and items at once, for models that read both sides' histories.

    r = μ + b_u + c_i + (P_u + T(s_u)) · (Q_i + T'(s_i)),    T(s): s ← s + W₂ dropout(tanh(W₁ s + a)), layer by layer,

with s from `recsys.models.histories.history_sums`. Minimised is half the mean squared error of a batch plus, for every
parameter θ, λ θ² / 2 divided by the number of training ratings. A step reads histories without the batch's ratings.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.models.histories import Batches, Floats, Side, history_gradient, history_sums, kernel, rows_of_batch

BETA_1, BETA_2, EPSILON = np.float32(0.9), np.float32(0.999), np.float32(1e-7)
"""Keras's, of Adam."""


class SideWeights(NamedTuple):
    """What is learnt of one side, float32; also the moments of these, and their gradients.

    Attributes:
        own: P, shape (rows, size).
        bias: shape (rows,).
        tables: what the other side's histories read of these rows, Y, or Y and R, or nothing; shape
            (rows, parts, size).
        kernels: W₁ of each layer, shape (layers, size, width).
        shifts: a of each layer, shape (layers, width).
        backs: W₂ of each layer, shape (layers, width, size).
    """

    own: Floats
    bias: Floats
    tables: Floats
    kernels: Floats
    shifts: Floats
    backs: Floats


class Half(NamedTuple):
    """One side of a model under way, users or items.

    Attributes:
        side: its training ratings; these are deviations from the mean μ.
        scale: its `Side.scale`.
        weights: what is learnt; `first` and `second` are Adam's moments of it.
    """

    side: Side
    scale: Floats
    weights: SideWeights
    first: SideWeights
    second: SideWeights


Halves = tuple[Half, Half]
"""The users' half and the items'."""


class Penalties(NamedTuple):
    """λ of the parts of `SideWeights`, divided by the number of training ratings; shifts have none."""

    own: float
    bias: float
    tables: tuple[float, ...]
    kernels: float


class Tower(NamedTuple):
    """A forward pass through a tower: what it ends with, shape (rows, size), and what the backward pass reads."""

    vectors: Floats
    inputs: list[Floats]
    hidden: list[Floats]
    masks: list[Floats]


def vectors_of(halves: Halves, which: int, rows: npt.NDArray[np.int64], dealt: Batches, batch: int) -> Floats:
    """Return P + T(s) of some rows of a side, in inference, shape (len(rows), size); 0 of rows without ratings."""
    half, others = halves[which], halves[1 - which]
    sums = history_sums(half.side, half.scale, rows, others.weights.tables, dealt, batch)
    found = climb(sums, half.weights, []).vectors + half.weights.own[rows]
    found[half.scale[rows] == 0] = 0
    return found


def take_step(
    halves: Halves,
    dealt: tuple[Batches, Batches],
    batch: int,
    dropout: float,
    random: np.random.Generator,
    penalties: Penalties,
    alpha: float,
) -> float:
    """Take a step with all weights, and return the sum of the squared errors of the batch before it.

    Args:
        halves: their weights and moments are changed in place.
        dealt: the batch of each rating, in the order of each side.
        batch: the one whose ratings are predicted, and left out of the histories.
        dropout: rate of the hidden layers, whose masks `random` draws.
        alpha: the learning rate, corrected for the bias of Adam's moments.
    """
    step = np.float32(alpha)
    count = np.float32(max(1, int(np.count_nonzero(dealt[0] == batch))))
    towers, all_rows, vectors = [], [], []
    for half, others, batches in zip(halves, halves[::-1], dealt, strict=True):
        rows = rows_of_batch(half.side, batches, batch)
        sums = history_sums(half.side, half.scale, rows, others.weights.tables, batches, batch)
        tower = climb(sums, half.weights, _masks(half.weights, len(rows), dropout, random))
        towers.append(tower)
        all_rows.append(rows)
        vectors.append(_spread(tower.vectors + half.weights.own[rows], rows, half.weights.own))
    biases = [half.weights.bias.copy() for half in halves]
    squares, at_sums = 0.0, []
    for which, (half, rows, tower) in enumerate(zip(halves, all_rows, towers, strict=True)):
        ours, theirs = (vectors[which], biases[which]), (vectors[1 - which], biases[1 - which])
        gradient, of_bias, squares = error_gradient(half.side, rows, ours, theirs, dealt[which], batch, count)
        at_sum, of_layers = descend(tower, half.weights, gradient)
        at_sums.append(_spread(at_sum * half.scale[rows, None], rows, half.weights.own))
        found = [_spread(gradient, rows, half.weights.own), _spread(of_bias, rows, half.weights.bias), *of_layers]
        strengths = [penalties.own, penalties.bias, penalties.kernels, 0.0, penalties.kernels]
        stepping = [[part for part in parts if part is not parts.tables] for parts in half[2:]]
        for weight, first, second, of_weight, l2 in zip(*stepping, found, strengths, strict=True):
            adam(weight.ravel(), first.ravel(), second.ravel(), of_weight.ravel(), np.float32(l2), step)
    strengths_of_tables = np.array(penalties.tables, np.float32)
    for which, half in enumerate(halves):
        parts = half.weights.tables, half.first.tables, half.second.tables
        step_tables(half.side, *parts, at_sums[1 - which], dealt[which], batch, strengths_of_tables, step)
    return squares


def _spread(values: Floats, rows: npt.NDArray[np.int64], like: Floats) -> Floats:
    """The values in their rows of an array like another one, with 0 elsewhere."""
    whole = np.zeros_like(like)
    whole[rows] = values
    return whole


def _masks(weights: SideWeights, rows: int, dropout: float, random: np.random.Generator) -> list[Floats]:
    layers, width = weights.shifts.shape
    kept = np.float32(1 / (1 - dropout))
    return [(random.random((rows, width), np.float32) >= dropout) * kept for _ in range(layers)]


def climb(sums: Floats, weights: SideWeights, masks: list[Floats]) -> Tower:
    """Return T(s) of each row of `sums`; `masks` are of dropout, shape (rows, width) a layer, or no mask at all."""
    inputs, hidden = [], []
    vectors = sums
    for layer in range(len(weights.kernels)):
        inputs.append(vectors)
        hidden.append(np.tanh(product(vectors, weights.kernels[layer]) + weights.shifts[layer]))
        kept = hidden[-1] * masks[layer] if masks else hidden[-1]
        vectors = vectors + product(kept, weights.backs[layer])
    return Tower(vectors, inputs, hidden, masks)


def descend(tower: Tower, weights: SideWeights, gradient: Floats) -> tuple[Floats, list[Floats]]:
    """Return the gradient at the sums, of that at the vectors, and those of kernels, shifts and backs."""
    found = [np.zeros_like(part) for part in weights[3:]]
    kernels, shifts, backs = found
    for layer in reversed(range(len(weights.kernels))):
        hidden, mask = tower.hidden[layer], tower.masks[layer]
        backs[layer] = outer_sum(hidden * mask, gradient)
        before = product(gradient, np.ascontiguousarray(weights.backs[layer].T)) * mask * (1 - hidden * hidden)
        kernels[layer] = outer_sum(tower.inputs[layer], before)
        shifts[layer] = before.sum(axis=0)
        gradient = gradient + product(before, np.ascontiguousarray(weights.kernels[layer].T))
    return gradient, found


@kernel
def product(left: Floats, right: Floats) -> Floats:
    """Return a matrix product whose sums have one order, unlike those of a library that divides work among cores."""
    out = np.zeros((left.shape[0], right.shape[1]), np.float32)
    inner = left.shape[1]
    for r in range(left.shape[0]):
        row = out[r]
        for d in range(0, inner - 3, 4):
            x0, x1, x2, x3 = left[r, d], left[r, d + 1], left[r, d + 2], left[r, d + 3]
            for c in range(len(row)):
                row[c] += x0 * right[d, c] + x1 * right[d + 1, c] + x2 * right[d + 2, c] + x3 * right[d + 3, c]
        for d in range(inner - inner % 4, inner):
            for c in range(len(row)):
                row[c] += left[r, d] * right[d, c]
    return out


@kernel
def outer_sum(left: Floats, right: Floats) -> Floats:
    """Return the product of `left`, transposed, and `right`, whose sums run over the rows in their order."""
    out = np.zeros((left.shape[1], right.shape[1]), np.float32)
    rows = left.shape[0]
    for r in range(0, rows - 3, 4):
        for d in range(left.shape[1]):
            row = out[d]
            x0, x1, x2, x3 = left[r, d], left[r + 1, d], left[r + 2, d], left[r + 3, d]
            for c in range(len(row)):
                row[c] += x0 * right[r, c] + x1 * right[r + 1, c] + x2 * right[r + 2, c] + x3 * right[r + 3, c]
    for r in range(rows - rows % 4, rows):
        for d in range(left.shape[1]):
            for c in range(right.shape[1]):
                out[d, c] += left[r, d] * right[r, c]
    return out


@kernel
def error_gradient(
    side: Side,
    rows: npt.NDArray[np.int64],
    ours: tuple[Floats, Floats],
    theirs: tuple[Floats, Floats],
    dealt: Batches,
    batch: int,
    count: np.float32,
) -> tuple[Floats, Floats, float]:
    """Return the gradients at the rows' vectors and biases, and the sum of the squared errors of a batch.

    `ours` are vectors and biases of the side, `theirs` those of the other.
    """
    size = ours[0].shape[1]
    gradient, of_bias = np.zeros((len(rows), size), np.float32), np.zeros(len(rows), np.float32)
    squares = 0.0
    for n in range(len(rows)):
        row = rows[n]
        mine, total = ours[0][row], gradient[n]
        for at in range(side.start[row], side.start[row + 1]):
            if dealt[at] == batch:
                other = side.other[at]
                error = ours[1][row] + theirs[1][other] - side.rating[at]
                for c in range(size):
                    error += mine[c] * theirs[0][other, c]
                squares += error * error
                error /= count
                of_bias[n] += error
                for c in range(size):
                    total[c] += error * theirs[0][other, c]
    return gradient, of_bias, squares


@kernel
def adam(weight: Floats, first: Floats, second: Floats, gradient: Floats, l2: np.float32, alpha: np.float32) -> None:
    """Take a step with every number of a vector, whose moments are `first` and `second`."""
    one = np.float32(1)
    for n in range(len(weight)):
        g = gradient[n] + l2 * weight[n]
        first[n] += (g - first[n]) * (one - BETA_1)
        second[n] += (g * g - second[n]) * (one - BETA_2)
        weight[n] -= alpha * first[n] / (np.sqrt(second[n]) + EPSILON)


@kernel
def step_tables(
    side: Side,
    tables: Floats,
    first: Floats,
    second: Floats,
    gradients: Floats,
    dealt: Batches,
    batch: int,
    l2: Floats,
    alpha: np.float32,
) -> None:
    """Take a step with the tables of a side; `gradients` are of the other side's sums, times their scale."""
    found = np.empty(tables.shape[1:], np.float32)
    for row in range(len(tables)):
        history_gradient(side, row, gradients, dealt, batch, found)
        for part in range(len(found)):
            adam(tables[row, part], first[row, part], second[row, part], found[part], l2[part], alpha)
