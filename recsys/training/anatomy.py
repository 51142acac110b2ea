"""A Keras model taken apart into its embedding tables and the network above them.

The compiled loop looks rows up by itself, so it needs the model in two parts:

    [user code, item code] ──lookups──> rows ──head──> rating

Both are found by walking through the calls of layers that Keras recorded when the model was built.
"""

from dataclasses import dataclass
from typing import Any, NoReturn

from recsys.backend import keras
from recsys.errors import BadSettings
from recsys.training.head import Call, Head, build_head
from recsys.training.penalties import PENALTIES, strengths

INPUTS = ("user", "item")
"""What the model's inputs are, in their order."""


@dataclass(frozen=True)
class Lookup:
    """One Embedding layer.

    Attributes:
        layer: the layer.
        input: position of its input in `INPUTS`.
        width: numbers in a row.
        shape: shape of one looked-up row in the model, (1, width) or (width,).
        l1: share of |row| that each rating pays.
        l2: share of row² that each rating pays.
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
        lookups: its embedding layers, ordered by input.
        heights: rows of the tables of each input.
        head: the network from looked-up rows to ratings.
    """

    lookups: list[Lookup]
    heights: tuple[int, ...]
    head: Head

    @property
    def variables(self) -> list[keras.Variable]:
        """The model's variables: the lookups' tables, then the others in the head's order, the kept ones last."""
        return [lookup.layer.trainable_variables[0] for lookup in self.lookups] + self.head.weights + self.head.kept


def dissect(model: keras.Model) -> Anatomy:
    """Take `model` apart; it is not changed.

    Raises:
        BadSettings: it is not made of embeddings that are fed by two inputs, and of layers above them
            that keep nothing but trained weights and the moving statistics of batches.
    """
    if not hasattr(model, "operations") or len(model.inputs) != len(INPUTS):
        _refuse(model, "it is not a functional model with two inputs, user and item")
    if len(model.outputs) != 1 or tuple(model.outputs[0].shape) not in ((None, 1), (None,)):
        _refuse(model, "its output is not one number a rating")
    for layer in model.layers:
        if objection := _objection(layer):
            _refuse(model, f"layer {layer.name} ({type(layer).__name__}) {objection}")
    calls, inputs, output = _recorded_calls(model)
    positions = {id(tensor): position for position, tensor in enumerate(inputs)}
    found = [call for call in calls if isinstance(call.layer, keras.layers.Embedding)]
    for call in found:
        if id(call.args[0]) not in positions or tuple(call.args[0].shape) not in ((None, 1), (None,)):
            _refuse(model, f"layer {call.layer.name} is not fed with one id a rating by an input of the model")
    if len({id(call.layer) for call in found}) < len(found):
        _refuse(model, "an Embedding layer is used twice")
    if any(
        type(call.layer) is keras.layers.BatchNormalization and call.kwargs.get("mask") is not None for call in calls
    ):
        _refuse(model, "a BatchNormalization is called with a mask of its own")
    found.sort(key=lambda call: positions[id(call.args[0])])
    lookups = [_lookup(call, positions[id(call.args[0])]) for call in found]
    heights = [{lookup.layer.input_dim for lookup in lookups if lookup.input == i} for i in range(len(INPUTS))]
    if any(len(distinct) != 1 for distinct in heights):
        _refuse(model, "an input has no Embedding, or has Embeddings with different numbers of rows")
    return Anatomy(lookups, tuple(min(distinct) for distinct in heights), build_head(calls, found, output))


def _refuse(model: keras.Model, objection: str, cause: Exception | None = None) -> NoReturn:
    """Say why the compiled engine does not train `model`."""
    raise BadSettings(
        f"The compiled engine cannot train {getattr(model, 'name', model)}: {objection}; use engine keras."
    ) from cause


def _objection(layer: keras.layers.Layer) -> str | None:
    """Why the compiled loop cannot do what this layer does, None if it can."""
    embedding = isinstance(layer, keras.layers.Embedding)
    penalty = getattr(layer, "activity_regularizer", None)
    if isinstance(layer, keras.Model):
        return "is a model inside the model"
    if layer.dtype_policy.name != "float32" and not isinstance(layer, keras.layers.InputLayer):
        return f"computes in {layer.dtype_policy.name}, not in float32"
    if penalty is not None and not (embedding and type(penalty) in PENALTIES):
        return "has an activity_regularizer, which the engine knows as L1, L2 or L1L2 of an Embedding only"
    if any(
        variable.regularizer is not None and type(variable.regularizer) not in PENALTIES
        for variable in layer.trainable_variables
    ):
        return "has a weight regulariser other than L1, L2 or L1L2"
    if type(layer) is keras.layers.Dropout:
        return None if layer.noise_shape is None else "has a noise_shape"
    if type(layer) is keras.layers.BatchNormalization and layer.trainable:
        return "normalises across replicas" if layer.synchronized else None
    if layer.non_trainable_variables:
        return "keeps values that are not trained by gradients"
    if not embedding:
        return None
    if layer.embeddings_regularizer is not None:
        return (
            "has an embeddings_regularizer, which pulls on the whole table at every step (with an "
            "activity_regularizer each rating pays for its own rows)"
        )
    if layer.mask_zero or layer.embeddings_constraint or layer.lora_rank or layer.quantization_mode:
        return "masks, constrains, adapts or quantises its table"
    return None


def _lookup(call: Call, position: int) -> Lookup:
    layer = call.layer
    return Lookup(
        layer, position, layer.output_dim, tuple(call.outputs.shape[1:]), *strengths(layer.activity_regularizer)
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
            copy = type(layer).from_config(config)
        except (TypeError, ValueError) as error:
            _refuse(
                model, f"layer {layer.name} ({type(layer).__name__}) cannot be rebuilt from its configuration", error
            )
        originals[id(copy)] = layer
        return copy

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        calls.append(Call(originals[id(layer)], layer, args, kwargs, outputs))
        return outputs

    twin = keras.models.clone_model(model, clone_function=clone, call_function=call)
    return calls, twin.inputs, twin.outputs[0]
