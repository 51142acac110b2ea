"""Keras's own file format, byte for byte the same for the same model."""

import json
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recsys.backend import keras
from recsys.errors import DamagedArtefact

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold."""

_LAYERS = (
    "Activation Add BatchNormalization Concatenate Dense Dot Dropout Embedding Flatten InputLayer Multiply Rescaling "
    "Reshape"
)
_INITIALISERS = "Constant GlorotUniform Ones RandomNormal RandomUniform Zeros"

OURS = {
    *(f"keras.layers.{name}" for name in _LAYERS.split()),
    *(f"keras.initializers.{name}" for name in _INITIALISERS.split()),
    *("keras.DTypePolicy", "keras.regularizers.L2", "None.__keras_tensor__"),
    "keras.src.models.functional.Functional (Functional)",
}
"""What the models of this project are made of, by module and class."""


LATER: dict[str, Any] = {
    "input_axes": None,
    "optional": False,
    "output_axes": None,
    "quantization_config": None,
    "ragged": False,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
}
"""What layers of later versions of Keras have to be told, and Keras 3.4 does not know: at these values, which are the
defaults, they do what they did before."""


def save_model(model: keras.Model, path: Path) -> None:
    """Write `model` to `path` (.keras), which opens with stock Keras, from version 3.4 on.

    Keras stamps the file with the time of saving and with the addresses of regularisers in memory, and
    adds the optimizer's state and how many optimizers the process has made. Here times are fixed,
    addresses are counted, and the optimizer is left out, so that equal models give equal digests. LATER is left out as
    well.
    """
    stamped = path.with_name(f".stamped-{path.name}")
    bare = keras.Model.from_config(model.get_config())
    bare.set_weights(model.get_weights())
    bare.save(stamped)
    with zipfile.ZipFile(stamped) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(source.namelist()):
            data = source.read(name)
            if name == "metadata.json":
                data = json.dumps({**json.loads(data), "date_saved": "1980-01-01@00:00:00"}).encode()
            if name == "config.json":
                data = _counted(json.dumps(_without_later(json.loads(data))).encode())
            target.writestr(zipfile.ZipInfo(name, EPOCH), data)
    os.unlink(stamped)


def _without_later(config: Any) -> Any:
    if isinstance(config, dict):
        kept = {name: part for name, part in config.items() if name not in LATER or part != LATER[name]}
        return {name: _without_later(part) for name, part in kept.items()}
    return [_without_later(part) for part in config] if isinstance(config, list) else config


def _counted(config: bytes) -> bytes:
    """The configuration with its shared objects numbered from 1, in the order of their appearance."""
    numbers: dict[bytes, int] = {}
    return re.sub(
        rb'(?<="shared_object_id": )\d+', lambda found: b"%d" % numbers.setdefault(found[0], len(numbers) + 1), config
    )


def load_model(path: Path) -> keras.Model:
    """Read a model that `save_model` wrote.

    Classes that no model of ours has are refused before Keras looks at the file, which then opens it in its safe mode.

    Raises:
        DamagedArtefact: the file holds something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            foreign = set(_classes(json.loads(archive.read("config.json")))) - OURS
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DamagedArtefact(f"{path} is no model of Keras ({error})") from error
    if foreign:
        raise DamagedArtefact(f"{path} holds what no model here is made of: {sorted(foreign)[:12]}")
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _classes(config: Any) -> Iterator[str]:
    """Everything that Keras would look up by name to build a model: classes, and the modules that they come from."""
    if isinstance(config, list):
        for part in config:
            yield from _classes(part)
    elif isinstance(config, dict):
        if "class_name" in config:
            module, registered = config.get("module"), config.get("registered_name")
            yield f"{module}.{config['class_name']}" + (f" ({registered})" if registered else "")
        for part in config.values():
            yield from _classes(part)


def summary_of(model: keras.Model) -> str:
    """Return the model's layers as a plain text table: layer, output shape, parameters, inputs.

    Keras's own `summary` fits its columns to the terminal it happens to run in.
    """
    rows = [("layer (type)", "output shape", "parameters", "connected to")]
    for layer in model.layers:
        tensors = [tensor for node in layer._inbound_nodes for tensor in node.input_tensors]
        sources = ", ".join(tensor._keras_history.operation.name for tensor in tensors)
        name = f"{layer.name} ({type(layer).__name__})"
        rows.append((name, str(layer.output.shape), f"{layer.count_params():,}", sources))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows]
    lines.insert(1, "─" * (sum(widths) + 6))
    frozen = sum(layer.count_params() for layer in model.layers if not layer.trainable_variables)
    lines += ["", f"parameters in all: {model.count_params() - frozen:,}"]
    if frozen:
        lines.append(f"numbers beside them that are not trained: {frozen:,}")
    return "\n".join([f"model {model.name}", "", *lines])
