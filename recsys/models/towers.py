"""Two towers over histories: a user is what the user has rated, an item who has rated it, and how.

    prediction(u, i) = μ + b_u + c_i + (P_u + T(s_u)) · (Q_i + T'(s_i))

The sums s of histories are those of `recsys.models.histories` (SVD++'s of Koren 2008, 'Factorization Meets the
Neighborhood', equation 15, for both sides, with a second table for the ratings), and a tower T is residual layers:
s ← s + W₂ dropout(tanh(W₁ s + a)). Without layers and without the second table it is SVD++ for both sides.

The training ratings are all known when the model is saved, and with them every vector: `model.keras` has the two tables
of final vectors P + T(s), the biases and the mean, and predicts with stock Keras alone, without the histories. What a
user who rates later needs is beside it: `user_tower.keras`, which is T in stock Keras, and `user_histories.npz`.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys.arrays import FITTED, as_codes, as_numbers, require_one_length
from recsys.backend import keras
from recsys.models.factors import Factors
from recsys.models.histories import Floats
from recsys.models.keras_predictor import FittedFactors, KerasPredictor, load_keras
from recsys.models.predictor import Codes
from recsys.models.serialization import load_model, save_model

USER_TOWER, USER_HISTORIES = "user_tower.keras", "user_histories.npz"
"""Files beside the model's."""

DAMPING = 4.0
"""Regularisation of the biases that the deviations in histories are from, in ratings."""


def build_tower(kernels: Floats, shifts: Floats, backs: Floats, dropout: float, seed: int, name: str) -> keras.Model:
    """Return a tower with these weights, from sums of histories, shape (batch, size), to vectors of the same shape.

    Args:
        kernels: W₁ of each layer, shape (layers, size, width).
        shifts: a of each layer, shape (layers, width).
        backs: W₂ of each layer, shape (layers, width, size).
        dropout: rate of the hidden layers, in training, whose masks `seed` draws.
    """
    layers, size, width = kernels.shape
    history = keras.Input(shape=(size,), name="history")
    vectors = keras.layers.Activation("linear", name="history_sum")(history)
    for number in range(layers):
        hidden = keras.layers.Dense(width, "tanh", name=f"hidden{number + 1}")
        back = keras.layers.Dense(size, use_bias=False, name=f"back{number + 1}")
        dropped = keras.layers.Dropout(dropout, seed=seed + number, name=f"dropout{number + 1}")(hidden(vectors))
        vectors = keras.layers.Add(name=f"sum{number + 1}")([vectors, back(dropped)])
        hidden.set_weights([kernels[number], shifts[number]])
        back.set_weights([backs[number]])
    return keras.Model(history, vectors, name=name)


@dataclass(frozen=True)
class UserHistories:
    """What makes a user's vector and bias of ratings, beside the user tower.

    Attributes:
        tables: float32, shape (items, parts, size): Y, or Y and R, or nothing; see `history_sums`.
        expected: float32, shape (items,): the mean and the item's bias that deviations are from.
        l2_biases: regularisation of the biases, in ratings.
        scale: of the standardised ratings that the model was fitted to, in rating units.
        offset: where standardised ratings have their 0, in rating units.
    """

    tables: Floats
    expected: Floats
    l2_biases: float
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class TowersPredictor:
    """A `recsys.models.factor_model` of final vectors, and what makes vectors of new users."""

    model: KerasPredictor | FittedFactors
    user_tower: keras.Model
    histories: UserHistories

    def predict(self, user: Codes, item: Codes) -> npt.NDArray[np.floating]:
        """Return predicted ratings, float32 of shape (rows,)."""
        return self.model.predict(user, item)

    @property
    def factors(self) -> Factors:
        """The final vectors and the biases, in the units of the ratings that were fitted."""
        factors = self.model.factors
        assert factors is not None, "the two towers come to nothing else"
        return factors

    @property
    def units(self) -> tuple[float, float]:
        """The scale and the offset that lead from the units of `factors` to those of the predictions."""
        return self.model.units

    @property
    def parameters(self) -> int:
        """How many numbers were learnt."""
        return self.model.parameters

    @property
    def summary(self) -> str:
        """The layers that predict, as a table of plain text."""
        return self.model.summary

    def rescaled(self, scale: float, offset: float) -> "TowersPredictor":
        """Return what predicts `scale` times its predictions plus `offset`, and reads such ratings of new users."""
        of = self.histories
        histories = replace(of, scale=scale * of.scale, offset=scale * of.offset + offset)
        return replace(self, model=self.model.rescaled(scale, offset), histories=histories)

    def fold_in(self, items: Codes, ratings: Floats) -> tuple[Floats, float]:
        """Return the vector and the bias of a user who was not trained on, as the tables of the model would have them.

        One forward pass, with P = 0; the bias is the damped mean of what the vector leaves of the ratings.

        Args:
            items: codes of the items that the user has rated, int32 of shape (ratings,); there may be none.
            ratings: in rating units, shape (ratings,).

        Raises:
            BadIds: there is no such item.
            BadRatings: a rating is no finite number, or there are not as many ratings as items.
        """
        known = self.histories
        items, ratings = as_codes(items, "item", len(known.expected), advice=FITTED), as_numbers(ratings, "rating")
        require_one_length(item_code=items, rating=ratings)
        size = known.tables.shape[2]
        if not len(items):
            return np.zeros(size, np.float32), 0.0
        standard = (np.asarray(ratings, np.float64) - known.offset) / known.scale
        deviation = standard - known.expected[items]
        deviation -= deviation.sum() / (len(items) + DAMPING)
        weights = np.stack([np.ones_like(deviation), deviation])[: known.tables.shape[1]]
        sums = np.einsum("pn,npk->k", weights, known.tables[items]) / np.sqrt(len(items))
        vector: Floats = np.asarray(self.user_tower(sums[None].astype(np.float32), training=False))[0]
        factors = self.factors
        left = standard - factors.mean - factors.item_bias[items] - factors.item[items] @ vector
        return vector, float(left.sum() / (len(items) + known.l2_biases))

    def save(self, path: Path) -> None:
        """Write the model to `path` (.keras), and beside it the tower and the tables that fold a new user in."""
        self.model.save(path)
        save_model(self.user_tower, path.with_name(USER_TOWER))
        with open(path.with_name(USER_HISTORIES), "wb") as file:
            np.savez(file, allow_pickle=False, **vars(self.histories))


def load(path: Path) -> TowersPredictor:
    """Read what `TowersPredictor.save` wrote, as `recsys.models.serialization.load_model` does."""
    with np.load(path.with_name(USER_HISTORIES), allow_pickle=False) as arrays:
        numbers = {name: float(arrays[name]) for name in ("l2_biases", "scale", "offset")}
        histories = UserHistories(tables=arrays["tables"], expected=arrays["expected"], **numbers)
    return TowersPredictor(load_keras(path), load_model(path.with_name(USER_TOWER)), histories)
