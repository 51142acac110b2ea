"""A winner for other programs: as ONNX, as a SavedModel of TensorFlow, or as vectors for an index or a database.

Each is read back, and gets its name only if it predicts what it was made from. Beside it are the ids, and a README.md
that says what goes in, what comes out, and how ids become codes.
"""

import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.backend import keras, tensorflow
from recsys.errors import BadSettings, ExportFailed
from recsys.models.bayes_mf import BayesianFactors
from recsys.models.factors import Factors
from recsys.models.keras_predictor import RESCALED
from recsys.models.predictor import Codes, Floats
from recsys.models.serialization import load_model
from recsys.models.specs import MODEL
from recsys.models.towers import TowersPredictor
from recsys.text import listing, opening, short, shown
from recsys.winner.folder import ITEMS, USERS
from recsys.winner.recommender import Recommender
from recsys.winner.tables import require_new_folder

Format = Literal["onnx", "tf", "vectors"]

PAIRS, SEED = 1000, 1
TOLERANCE = 1e-5
"""Of the range of the ratings: how much predictions may differ from those of what was exported."""

ONNX_PACKAGES = ("onnx", "onnxruntime", "tf2onnx")
ONNX, SAVED_MODEL, USER_VECTORS, ITEM_VECTORS = "model.onnx", "saved_model", "user_vectors.npy", "item_vectors.npy"

Pairs = tuple[Codes, Codes]
"""Codes of users and of items, shape (pairs,) each."""


@dataclass(frozen=True)
class _Known:
    """Ids of the users or the items with ratings that were fitted.

    Attributes:
        codes: int32, ascending.
        ids: a table of as many rows, with the id, and the title of items.
    """

    codes: Codes
    ids: pd.DataFrame

    def rows(self, codes: Codes) -> npt.NDArray[np.integer]:
        """The rows of known codes."""
        return np.searchsorted(self.codes, codes)


@dataclass(frozen=True)
class _Written:
    """What was written.

    Attributes:
        name: of it.
        predicted: what it predicts of the pairs, read back.
        original: what it was made from, and `expected`, what that predicts of them.
        facts: how to use it: subject -> sentences.
        number: of an id: its code, or the row of its vector.
        note: what else to know, if anything.
    """

    name: str
    predicted: Floats
    original: str
    expected: Floats
    facts: dict[str, str]
    number: Literal["code", "row"] = "code"
    note: str = ""


class _Network(NamedTuple):
    """A network that was written: what it is, how to read it, the name of its output, and what it predicts."""

    name: str
    how: str
    output: str
    predicted: Floats


def export(winner: str | Path, format: Format, out: str | Path) -> str:
    """Write a winner to the new folder `out`, check it, and return what was written and how much it is off.

    Predictions of 1,000 pairs of users and items with ratings are compared.

    Args:
        winner: the folder of a winner.
        format: `onnx` and `tf` hold its model of stock Keras; `vectors` holds arrays whose inner products are ratings.
        out: what is there is never overwritten.

    Raises:
        DamagedWinner: `winner` is not complete and as it was written.
        BadSettings: there is no such format, or `out` exists, or cannot be written.
        ExportFailed: the model has no vectors, packages are missing, or what was written predicts something else; then
            nothing is left.
    """
    winner, out = Path(winner).expanduser(), Path(out).expanduser()
    if format not in get_args(Format):
        raise BadSettings(f"There is no format {shown(format)}: choose {', '.join(get_args(Format))}.")
    if format == "onnx":
        _require_onnx_packages()
    require_new_folder(out)
    recommender = Recommender.load(winner)
    if recommender.about.members:
        raise ExportFailed("A blend has no format of its own: choose one of its models with --use, and export that.")
    stock = load_model(winner / MODEL[recommender.about.name].file)
    try:
        with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
            folder = Path(temporary, "complete")
            folder.mkdir()
            said = _export(recommender, stock, format, folder)
            folder.rename(out)
    except OSError as error:
        raise BadSettings(f"{out} cannot be written ({error.strerror or error}): give another folder.") from error
    return f"{out} has {said}"


def _require_onnx_packages() -> None:
    missing = [name for name in ONNX_PACKAGES if find_spec(name) is None]
    if missing:
        raise ExportFailed(f"--format onnx needs {listing(missing)}: pip install 'mf-or-dnn[export]'.")


def _export(recommender: Recommender, stock: keras.Model, format: Format, folder: Path) -> str:
    users, items = _known(recommender)
    random = np.random.default_rng(SEED)
    pairs = random.choice(users.codes, PAIRS), random.choice(items.codes, PAIRS)
    if format == "vectors":
        written = _write_vectors(recommender, stock, users, items, pairs, folder)
    else:
        written = _write_stock_model(recommender, stock, format, pairs, folder)
    difference = _difference(recommender, written)
    for side, name in ((users, USERS), (items, ITEMS)):
        number = side.codes if written.number == "code" else side.rows(side.codes).astype(np.int32)
        table = side.ids.copy()
        table.insert(0, written.number, number)
        table.to_parquet(folder / name, index=False)
    checked = (
        f"Of {PAIRS:,} pairs it predicts the ratings that {written.original} does, "
        f"{f'{short(difference)} off at most' if difference else 'to the last digit'}."
    )
    (folder / "README.md").write_text(_readme(recommender, written, checked), encoding="utf-8")
    return " ".join(part for part in (f"{recommender.about.title} as {written.name}.", checked, written.note) if part)


def _known(recommender: Recommender) -> tuple[_Known, _Known]:
    users, items = (
        np.flatnonzero(ratings).astype(np.int32) for ratings in (recommender.user_ratings, recommender.item_ratings)
    )
    titled = pd.DataFrame({"id": recommender.items[items], "title": recommender.titles[items]})
    return _Known(users, pd.DataFrame({"id": recommender.users[users]})), _Known(items, titled)


def _difference(recommender: Recommender, written: _Written) -> float:
    """Return the largest difference of a pair.

    Raises:
        ExportFailed: it is more than TOLERANCE.
    """
    difference = float(np.abs(written.predicted - written.expected).max())
    allowed = TOLERANCE * (recommender.about.highest - recommender.about.lowest)
    if not difference <= allowed:
        raise ExportFailed(
            f"{recommender.about.title} as {written.name} predicts ratings up to {short(difference)} off those of "
            f"{written.original}, and {short(allowed)} are allowed: nothing was kept; export another format."
        )
    return difference


def _write_stock_model(
    recommender: Recommender, stock: keras.Model, format: Literal["onnx", "tf"], pairs: Pairs, folder: Path
) -> _Written:
    codes = [side[:, None] for side in pairs]
    expected = np.asarray(stock(codes, training=False))[:, 0]  # Keras exports to ONNX only what was called
    network = (_write_onnx if format == "onnx" else _write_saved_model)(stock, codes, folder)
    user, item = (tensor.name for tensor in stock.inputs)
    facts = {
        "Model": network.how,
        "Inputs": f"`{user}` and `{item}`, codes of users and items, int32 of shape (pairs, 1) each",
        "Output": f"`{network.output}`, predicted ratings, float32 of shape (pairs, 1)",
    }
    note = ""
    if isinstance(recommender.model, BayesianFactors):
        note = f"It is compressed. {recommender.model.about}"
    elif isinstance(recommender.model, TowersPredictor):
        note = "It has the final vectors of users and items, not the towers: for new ratings export a new fit."
    file = MODEL[recommender.about.name].file
    return _Written(network.name, network.predicted[:, 0], file, expected, facts, note=note)


def _write_onnx(stock: keras.Model, codes: list[Codes], folder: Path) -> _Network:
    import onnxruntime

    path = folder / ONNX
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras asks NumPy for a name that NumPy is going to give anew
        stock.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output,) = session.get_outputs()
    names = [tensor.name for tensor in stock.inputs]
    (predicted,) = session.run(None, dict(zip(names, codes, strict=True)))
    return _Network("an ONNX model", f"`{ONNX}`, for ONNX Runtime", output.name, np.asarray(predicted))


def _write_saved_model(stock: keras.Model, codes: list[Codes], folder: Path) -> _Network:
    path = folder / SAVED_MODEL
    stock.export(path, format="tf_saved_model", verbose=False)
    loaded = tensorflow.saved_model.load(str(path))
    (output,) = loaded.signatures["serving_default"].structured_outputs
    how = (
        f'`{SAVED_MODEL}`, for TensorFlow and TensorFlow Serving: `model = tf.saved_model.load("{SAVED_MODEL}")`, then '
        "`model.serve([users, items])`; the signature is `serving_default`"
    )
    return _Network("a SavedModel of TensorFlow", how, output, np.asarray(loaded.serve(codes)))


def _write_vectors(
    recommender: Recommender, stock: keras.Model, users: _Known, items: _Known, pairs: Pairs, folder: Path
) -> _Written:
    """Write float32 arrays: user = [s·p_u, s·(μ + b_u) + o, 1], item = [q_i, 1, s·c_i], with s and o of the rescaling.

    The last layer of the stock model rescales as its predictor does.
    """
    factors: Factors | None = getattr(recommender.model, "factors", None)
    if factors is None or not factors.item.shape[1]:
        raise ExportFailed(
            f"{recommender.about.title} has no vectors of users and items: export it as onnx or tf, or choose another "
            "model with --use."
        )
    last = stock.layers[-1]
    scale, offset = (float(last.scale), float(last.offset)) if last.name == RESCALED else (1.0, 0.0)
    user_bias = scale * (factors.mean + factors.user_bias.astype(np.float64)) + offset
    item_bias = scale * factors.item_bias.astype(np.float64)
    tables = {
        USER_VECTORS: np.column_stack([scale * factors.user.astype(np.float64), user_bias, np.ones_like(user_bias)]),
        ITEM_VECTORS: np.column_stack([factors.item, np.ones_like(item_bias), item_bias]),
    }
    for (name, table), side in zip(tables.items(), (users, items), strict=True):
        np.save(folder / name, table[side.codes].astype(np.float32), allow_pickle=False)
    of_users, of_items = (np.load(folder / name, allow_pickle=False) for name in tables)
    user, item = pairs
    predicted = (of_users[users.rows(user)] * of_items[items.rows(item)]).sum(axis=1)
    size = factors.item.shape[1]
    facts = {
        "Users": f"`{USER_VECTORS}`, float32 of shape {of_users.shape}: {size} factors, the mean plus the user's bias, "
        "and 1",
        "Items": f"`{ITEM_VECTORS}`, float32 of shape {of_items.shape}: {size} factors, 1, and the item's bias",
        "Ratings": "the inner product of a user's row and an item's row is the predicted rating, in rating units; the "
        "items of the greatest inner product are those of the highest prediction. For similar items, compare the "
        f"cosines of the first {size} columns alone",
    }
    expected = recommender.model.predict(user, item)
    return _Written("vectors for an index or a database", predicted, "the model", expected, facts, number="row")


def _readme(recommender: Recommender, written: _Written, checked: str) -> str:
    about = recommender.about
    facts = {
        **written.facts,
        "Bounds": f"clip predictions to {about.lowest!r} and {about.highest!r}, the lowest and the highest rating",
        "Ids": f"`{USERS}` and `{ITEMS}` have the {written.number} of each id, and the titles of items. Users and "
        "items without a rating that was fitted are left out: the model knows nothing of them",
        "Fitted to": f"{'all' if about.refitted else 'training and validation'} ratings: {about.ratings:,}",
        "Checked": checked.removesuffix("."),
    }
    if written.note:
        facts["Note"] = written.note.removesuffix(".")
    lines = [f"- **{subject}**: {said}." for subject, said in facts.items()]
    return "\n".join([f"# {opening(about.title)} as {written.name}", "", *lines, ""])
