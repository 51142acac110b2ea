"""The network above the embeddings, as a Keras model of its own.

Its inputs are the looked-up rows and the dropout masks. Masks come from outside because then a dropout
rate is a number like the learning rate, and needs no other program. For the same reason every hidden
layer is followed by a mask, whether or not the model has a Dropout layer there: a network without
dropout is the network with rate 0. What a Rescaling layer adds, the mean of the ratings for one, comes from outside
as well. Penalties on weights are numbers too, and no part of the head.

A head that normalises batches has one more input, which ratings of a batch are real: padding must not
count in their mean and variance.
"""

import json
from dataclasses import dataclass
from typing import Any

from recsys.backend import keras
from recsys.training.penalties import strengths

HIDDEN = (keras.layers.Dense, keras.layers.Activation, keras.layers.Concatenate)
"""Layers whose results a Dropout usually follows."""

NUMBERS = {"name", "seed", "trainable"}
"""Parts of a layer's configuration on which its arithmetic does not depend."""


@dataclass(frozen=True, eq=False)
class Call:
    """A layer of the user's model, its clone, and one call of the clone: symbolic tensors in and out."""

    layer: keras.layers.Layer
    clone: keras.layers.Layer
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: Any


@dataclass(frozen=True)
class Head:
    """From rows to ratings.

    Attributes:
        model: takes the rows of each lookup, then the mask of each site, then what is added at each place of
            `offsets`, then, where `kept` is not empty, which ratings are real, bool of shape (batch,); shares no
            weight with the user's model.
        weights: the user's variables that stand for `model.trainable_variables`, in their order.
        penalties: what the loss pays for |w| and for w² of each of the weights.
        kept: those that stand for `model.non_trainable_variables`: moving means and variances of batches.
        sites: shape, without the batch, of what each mask is multiplied with.
        rates: dropout rate at each site.
        places: shape, without the batch, of what each offset is added to.
        offsets: the number that is added at each place.
        signature: equal for two heads that do the same arithmetic.
    """

    model: keras.Model
    weights: list[keras.Variable]
    penalties: list[tuple[float, float]]
    kept: list[keras.Variable]
    sites: list[tuple[int, ...]]
    rates: list[float]
    places: list[tuple[int, ...]]
    offsets: list[float]
    signature: str


def build_head(calls: list[Call], lookups: list[Call], output: Any) -> Head:
    """Repeat all calls but the lookups, with rows in the place of the lookups' results.

    Args:
        calls: in their order.
        lookups: those of them whose results come from outside: of Embeddings, trained or not.
        output: what the model returns.
    """
    replay = _Replay(calls, lookups)
    for call in calls:
        if type(call.layer) is keras.layers.Dropout:
            replay.drop(call)
        elif call not in lookups:
            replay.repeat(call)
    model = keras.Model([*replay.rows, *replay.masks, *replay.shifts, *replay.real], replay.now[id(output)])
    originals = {
        id(copy): variable
        for call in calls
        if isinstance(call.layer, keras.layers.Layer) and call not in lookups  # `a + b` is an operation, not a layer
        for copy, variable in zip(call.clone.variables, call.layer.variables, strict=True)
    }
    weights = [originals[id(copy)] for copy in model.trainable_variables]
    return Head(
        model=model,
        weights=weights,
        penalties=[strengths(variable.regularizer) for variable in weights],
        kept=[originals[id(copy)] for copy in model.non_trainable_variables],
        sites=[tuple(mask.shape[1:]) for mask in replay.masks],
        rates=replay.rates,
        places=[tuple(shift.shape[1:]) for shift in replay.shifts],
        offsets=replay.offsets,
        signature=json.dumps([replay.script, replay.numbers[id(replay.now[id(output)])]], sort_keys=True, default=str),
    )


class _Replay:
    def __init__(self, calls: list[Call], lookups: list[Call]) -> None:
        self.rows = [keras.Input(call.outputs.shape[1:]) for call in lookups]
        self.masks: list[Any] = []
        self.rates: list[float] = []
        self.shifts: list[Any] = []
        self.offsets: list[float] = []
        self.real: list[Any] = []
        self.script: list[Any] = [list(rows.shape) for rows in self.rows]
        self.now = {id(call.outputs): rows for call, rows in zip(lookups, self.rows, strict=True)}
        self.numbers = {id(rows): number for number, rows in enumerate(self.rows)}
        self.layers: dict[int, int] = {}
        self.site_of: dict[int, int] = {}
        self.readers: dict[int, list[Call]] = {}
        for call in calls:
            for tensor in keras.tree.flatten((call.args, call.kwargs)):
                self.readers.setdefault(id(tensor), []).append(call)

    def repeat(self, call: Call) -> None:
        """Call the clone again; mask its result if it is a hidden layer that a Dropout may follow."""
        args, kwargs = keras.tree.map_structure(lambda x: self.now.get(id(x), x), (call.args, call.kwargs))
        normalises = type(call.layer) is keras.layers.BatchNormalization
        real = {"mask": self._which_are_real(len(args[0].shape))} if normalises else {}
        shifted = type(call.layer) is keras.layers.Rescaling and isinstance(call.layer.offset, int | float)
        clone = keras.layers.Rescaling(call.layer.scale) if shifted else call.clone
        results = clone(*args, **{**kwargs, **real})
        layer = self.layers.setdefault(id(call.clone), len(self.layers))
        operands = keras.tree.map_structure(lambda x: self.numbers.get(id(x), x), (args, kwargs))
        self.script.append([layer, type(call.layer).__qualname__, _without_numbers(clone.get_config()), operands])
        if shifted:
            results = self._shifted(results, float(call.layer.offset))
        following = self.readers.get(id(call.outputs), [])
        dropouts = [reader for reader in following if type(reader.layer) is keras.layers.Dropout]
        if isinstance(call.layer, HIDDEN) and following and (not dropouts or len(following) == 1):
            self.site_of[id(call.outputs)] = len(self.masks)
            results = self._masked(results, 0.0)
        for before, after in zip(keras.tree.flatten(call.outputs), keras.tree.flatten(results), strict=True):
            self.now[id(before)] = after
            self.numbers[id(after)] = len(self.numbers)

    def drop(self, call: Call) -> None:
        """Set the rate of the mask that is there, or place one."""
        source = call.args[0]
        if id(source) in self.site_of:
            self.rates[self.site_of[id(source)]] = float(call.layer.rate)
            self.now[id(call.outputs)] = self.now[id(source)]
        else:
            self.now[id(call.outputs)] = self._masked(self.now[id(source)], float(call.layer.rate))
            self.numbers[id(self.now[id(call.outputs)])] = len(self.numbers)

    def _which_are_real(self, rank: int) -> Any:
        """Which ratings are real, of shape (batch, 1, …), one axis fewer than the `rank` of what is normalised."""
        if not self.real:
            self.real.append(keras.Input((), dtype="bool"))
        return keras.layers.Reshape((1,) * (rank - 2))(self.real[0]) if rank > 2 else self.real[0]

    def _shifted(self, tensor: Any, offset: float) -> Any:
        shift = keras.Input(tensor.shape[1:])
        self.shifts.append(shift)
        self.offsets.append(offset)
        return keras.layers.Add()([tensor, shift])

    def _masked(self, tensor: Any, rate: float) -> Any:
        mask = keras.Input(tensor.shape[1:])
        self.masks.append(mask)
        self.rates.append(rate)
        self.script.append(["mask", self.numbers.get(id(tensor), len(self.numbers))])
        return keras.layers.Multiply()([tensor, mask])


def _without_numbers(config: Any) -> Any:
    if isinstance(config, dict):
        return {
            key: _without_numbers(value)
            for key, value in config.items()
            if key not in NUMBERS and not key.endswith("_initializer")
        }
    return [_without_numbers(value) for value in config] if isinstance(config, list | tuple) else config
