"""A Keras model taken apart into its embedding tables and the network above them.

The compiled loop looks rows up by itself, so it needs the model in two parts:

    [user code, item code] ──lookups──> rows ──head──> rating

Both are found by walking through the calls of layers that Keras recorded when the model was built.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from recsys.backend import keras
from recsys.errors import BadSettings
from recsys.training.callbacks import require_float32
from recsys.training.compiled.dense import Dense
from recsys.training.compiled.factor_form import FactorForm, factor_form

PENALTIES = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
"""The regularisers that the compiled loop knows."""


def strengths(regularizer: Any) -> tuple[float, float]:
    """What is paid for |w| and for w²; nothing where there is no regulariser."""
    return float(getattr(regularizer, "l1", 0.0)), float(getattr(regularizer, "l2", 0.0))


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
        sites: shape, without the batch, of what each mask is multiplied with; `rates` are the dropout rates there.
        places: shape, without the batch, of what each of `offsets` is added to.
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
    """Repeat all `calls` but the `lookups`, of Embeddings, with rows in the place of the lookups' results."""
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
        results = clone(*args, **kwargs | real)
        layer = self.layers.setdefault(id(call.clone), len(self.layers))
        operands = keras.tree.map_structure(lambda x: self.numbers.get(id(x), x), (args, kwargs))
        self.script.append([layer, type(call.layer).__qualname__, _without_numbers(clone.get_config()), operands])
        if shifted:
            self.shifts.append(keras.Input(results.shape[1:]))
            self.offsets.append(float(call.layer.offset))
            results = keras.layers.Add()([results, self.shifts[-1]])
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
        source, rate = id(call.args[0]), float(call.layer.rate)
        result = self.now[source]
        if source in self.site_of:
            self.rates[self.site_of[source]] = rate
        else:
            result = self._masked(result, rate)
            self.numbers[id(result)] = len(self.numbers)
        self.now[id(call.outputs)] = result

    def _which_are_real(self, rank: int) -> Any:
        """Which ratings are real, of shape (batch, 1, …), one axis fewer than the `rank` of what is normalised."""
        if not self.real:
            self.real.append(keras.Input((), dtype="bool"))
        return keras.layers.Reshape((1,) * (rank - 2))(self.real[0]) if rank > 2 else self.real[0]

    def _masked(self, tensor: Any, rate: float) -> Any:
        self.masks.append(keras.Input(tensor.shape[1:]))
        self.rates.append(rate)
        self.script.append(["mask", self.numbers.get(id(tensor), len(self.numbers))])
        return keras.layers.Multiply()([tensor, self.masks[-1]])


def _without_numbers(config: Any) -> Any:
    if isinstance(config, dict):
        kept = [key for key in config if key not in NUMBERS and not key.endswith("_initializer")]
        return {key: _without_numbers(config[key]) for key in kept}
    return [_without_numbers(value) for value in config] if isinstance(config, list | tuple) else config


INPUTS = ("user", "item")
"""What the model's inputs are, in their order."""

ONE_EACH = ((None, 1), (None,))
"""Shapes of one number a rating."""


@dataclass(frozen=True)
class Lookup:
    """One trained Embedding layer.

    Attributes:
        input: position of what feeds it in `INPUTS`.
        shape: shape of a rating's row in the model, (1, width) or (width,).
        l1: L1 regularisation of the rows, per rating; `l2` likewise.
    """

    layer: keras.layers.Embedding
    input: int
    width: int
    shape: tuple[int, ...]
    l1: float
    l2: float


@dataclass(frozen=True)
class Anatomy:
    """The two parts of a model.

    Attributes:
        heights: how many codes each input has: rows of the tables in which they are looked up.
        lookups: its embedding layers, ordered by input.
        head: the network from the rows of `lookups` to ratings.
        factor_form: what `head` computes where the model is matrix factorisation, else None.
    """

    heights: list[int]
    lookups: list[Lookup]
    head: Head
    factor_form: FactorForm | None

    @property
    def variables(self) -> list[keras.Variable]:
        """The model's variables: the lookups' tables, then the others in the head's order, the kept ones last."""
        return [lookup.layer.trainable_variables[0] for lookup in self.lookups] + self.head.weights + self.head.kept


def parse_model(model: keras.Model) -> Anatomy:
    """Take `model` apart; it is not changed.

    Raises:
        BadSettings: it is not made of embeddings that are fed by two inputs, and of layers above them that keep
            nothing but trained weights and the moving statistics of batches; or it does not compute in float32.
    """
    if not hasattr(model, "operations") or len(model.inputs) != len(INPUTS):
        _refuse(model, "it is not a functional model with two inputs, user and item")
    if len(model.outputs) != 1 or tuple(model.outputs[0].shape) not in ONE_EACH:
        _refuse(model, "its output is not one number a rating")
    require_float32(model)
    for layer in model.layers:
        if objection := _objection(layer):
            _refuse(model, f"layer {layer.name} ({type(layer).__name__}) {objection}")
    calls, inputs, output = _recorded_calls(model)
    found = [call for call in calls if isinstance(call.layer, keras.layers.Embedding)]
    if len({id(call.layer) for call in found}) < len(found):
        _refuse(model, "an Embedding layer is used twice")
    normalised = [call for call in calls if type(call.layer) is keras.layers.BatchNormalization]
    if any(call.kwargs.get("mask") is not None for call in normalised):
        _refuse(model, "a BatchNormalization is called with a mask of its own")
    positions = {id(tensor): position for position, tensor in enumerate(inputs)}
    lookups = sorted((_lookup(model, call, positions) for call in found), key=lambda lookup: lookup.input)
    heights = [{x.layer.input_dim for x in lookups if x.input == position} for position in range(len(INPUTS))]
    if any(len(of_input) != 1 for of_input in heights):
        _refuse(model, "an input has no Embedding, or has Embeddings with different numbers of rows")
    found.sort(key=lambda call: positions[id(call.args[0])])
    form = factor_form(calls, found, [lookup.input for lookup in lookups], output)
    return Anatomy([of_input.pop() for of_input in heights], lookups, build_head(calls, found, output), form)


def _refuse(model: keras.Model, objection: str, cause: Exception | None = None) -> NoReturn:
    """Say why the compiled engine does not train `model`."""
    raise BadSettings(
        f"The compiled engine cannot train {getattr(model, 'name', model)}: {objection}; use engine keras."
    ) from cause


def _objection(layer: keras.layers.Layer) -> str | None:
    """Why the compiled loop cannot do what this layer does, None if it can."""
    embedding = isinstance(layer, keras.layers.Embedding)
    penalty = getattr(layer, "activity_regularizer", None)
    regularizers = [variable.regularizer for variable in layer.trainable_variables]
    if isinstance(layer, keras.Model):
        return "is a model inside the model"
    if penalty is not None and not (embedding and type(penalty) in PENALTIES):
        return "has an activity_regularizer, which the engine knows as L1, L2 or L1L2 of an Embedding only"
    if any(one is not None and type(one) not in PENALTIES for one in regularizers):
        return "has a weight regulariser other than L1, L2 or L1L2"
    if type(layer) is keras.layers.Dropout:
        return None if layer.noise_shape is None else "has a noise_shape"
    if type(layer) is keras.layers.BatchNormalization and layer.trainable:
        return "normalises across replicas" if layer.synchronized else None
    if not embedding:
        return "keeps values that are not trained by gradients" if layer.non_trainable_variables else None
    if not layer.trainable:
        return "is not trained"
    if layer.embeddings_regularizer is not None:
        return (
            "has an embeddings_regularizer, which pulls on the whole table at every step (with an "
            "activity_regularizer each rating pays for its own rows)"
        )
    if layer.mask_zero or layer.embeddings_constraint or layer.lora_rank or layer.quantization_mode:
        return "masks, constrains, adapts or quantises its table"
    return None


def _lookup(model: keras.Model, call: Call, positions: Mapping[int, int]) -> Lookup:
    if id(call.args[0]) not in positions or tuple(call.args[0].shape) not in ONE_EACH:
        _refuse(model, f"layer {call.layer.name} is not fed with one id a rating by an input of the model")
    penalties = strengths(call.layer.activity_regularizer)
    return Lookup(
        call.layer, positions[id(call.args[0])], call.layer.output_dim, tuple(call.outputs.shape[1:]), *penalties
    )


def _recorded_calls(model: keras.Model) -> tuple[list[Call], list[Any], Any]:
    """Clone the model, with tables of one row and without penalties; note which layer was called on what."""
    originals: dict[int, keras.layers.Layer] = {}
    calls: list[Call] = []

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if isinstance(layer, keras.layers.Embedding):
            config["input_dim"] = 1
        config |= {name: "zeros" for name in config if name.endswith("_initializer")}
        config |= {name: None for name in config if name.endswith("_regularizer")}
        try:
            copy = (Dense if type(layer) is keras.layers.Dense else type(layer)).from_config(config)
        except (TypeError, ValueError) as error:
            name = f"{layer.name} ({type(layer).__name__})"
            _refuse(model, f"layer {name} cannot be rebuilt from its configuration", error)
        originals[id(copy)] = layer
        return copy

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        calls.append(Call(originals[id(layer)], layer, args, kwargs, outputs))
        return outputs

    twin = keras.models.clone_model(model, clone_function=clone, call_function=call)
    return calls, twin.inputs, twin.outputs[0]
