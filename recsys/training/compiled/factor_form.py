"""Recognising matrix factorisation in a Keras model: r = μ + b_u + c_i + p_u · q_i, or a part of it.

Such a model has a loop of its own (`factor_steps`), which needs neither XLA nor a network above its tables.
"""

from typing import Any, NamedTuple

from recsys.backend import keras


class SideForm(NamedTuple):
    """Which of the model's lookups are one side's.

    Attributes:
        factors: number of the lookup of the factors, None without factors.
        bias: number of the lookup of the bias, None without one.
        penalties: L1 and L2 regularisation of the factors per rating, and those of the bias.
    """

    factors: int | None
    bias: int | None
    penalties: tuple[float, float, float, float]


class FactorForm(NamedTuple):
    """A model that is a sum of a constant `offset` (μ), biases, and a dot product of `size` factors, 0 without one."""

    offset: float
    size: int
    user: SideForm
    item: SideForm


class _Terms(NamedTuple):
    """A tensor as a sum: a constant, rows of lookups, and dot products of two lookups' rows."""

    offset: float
    rows: list[int]
    products: list[tuple[int, int]]


def factor_form(calls: list[Any], lookups: list[Any], inputs: list[int], output: Any) -> FactorForm | None:
    """Return the form of a model that is matrix factorisation, None if it is another one.

    Args:
        calls: all calls of layers, `recsys.training.compiled.graph.Call`, in their order; `lookups` are those of
            Embeddings, ordered by input, and `inputs` says of each which input (0: user, 1: item) it reads.
        output: the model's output, a symbolic tensor.
    """
    terms = {id(call.outputs): _Terms(0.0, [number], []) for number, call in enumerate(lookups)}
    for call in calls:
        if call not in lookups:
            found = _terms_of(call, terms)
            if found is None:
                return None
            terms[id(call.outputs)] = found
    offset, rows, products = terms[id(output)]
    used = rows + [number for pair in products for number in pair]
    if sorted(used) != list(range(len(lookups))) or len(products) > 1:
        return None
    widths = [call.layer.output_dim for call in lookups]
    factors = {inputs[number]: number for pair in products for number in pair}
    biases = {inputs[number]: number for number in rows}
    if len(biases) < len(rows) or any(widths[number] != 1 for number in rows) or (products and len(factors) < 2):
        return None

    def side(which: int) -> SideForm:
        numbers = factors.get(which), biases.get(which)
        return SideForm(*numbers, (*_strengths(lookups, numbers[0]), *_strengths(lookups, numbers[1])))

    return FactorForm(offset, widths[products[0][0]] if products else 0, side(0), side(1))


def _terms_of(call: Any, terms: dict[int, _Terms]) -> _Terms | None:
    """The sum that a layer's result is, None where it is none."""
    layer, kind = call.layer, type(call.layer)
    given = keras.tree.flatten(call.args)
    parts = [terms.get(id(tensor)) for tensor in given]
    if not parts or None in parts:
        return None
    known = [part for part in parts if part is not None]
    if kind is keras.layers.Flatten:
        return known[0]
    if kind is keras.layers.Rescaling and layer.scale == 1.0 and isinstance(layer.offset, int | float):
        return known[0]._replace(offset=known[0].offset + float(layer.offset))
    if kind is keras.layers.Add and len({tuple(tensor.shape) for tensor in given}) == 1:
        rows, products = ([one for part in known for one in getattr(part, name)] for name in ("rows", "products"))
        return _Terms(sum(part.offset for part in known), rows, products)
    of_rows = all(len(part.rows) == 1 and not part.products and not part.offset for part in known)
    last = len(given[0].shape) - 1
    if kind is keras.layers.Dot and of_rows and not layer.normalize and layer.axes in (last, [last] * 2, (last,) * 2):
        return _Terms(0.0, [], [(known[0].rows[0], known[1].rows[0])])
    return None


def _strengths(lookups: list[Any], number: int | None) -> tuple[float, float]:
    if number is None:
        return 0.0, 0.0
    penalty = lookups[number].layer.activity_regularizer
    return float(getattr(penalty, "l1", 0.0)), float(getattr(penalty, "l2", 0.0))
