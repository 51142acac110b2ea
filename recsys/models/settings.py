"""The settings of each model, without Keras."""

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from recsys.config import SettingsModel

Activation = Literal["relu", "tanh", "gelu", "silu"]
EmbeddingSize = Annotated[int, Field(le=4096, description="embedding size (number of factors) of each user and item")]
Epochs = Annotated[int, Field(ge=1, le=10_000, description="maximum number of epochs")]
LearningRate = Annotated[float, Field(gt=0, le=10, description="learning rate of Adam")]
BatchSize = Annotated[int, Field(ge=1, description="batch size, in ratings")]
Patience = Annotated[
    int,
    Field(
        ge=0,
        description="early stopping: epochs without a lower validation loss after which training stops and the best "
        "weights are restored; 0: no early stopping, the last weights are kept",
    ),
]
Dropout = Annotated[float, Field(ge=0, lt=1, description="dropout rate of the hidden layers")]
Histories = Annotated[
    Literal["none", "user", "item", "both"],
    Field(
        description="histories that are read: user, the items that a user has rated; item, the users who have rated an "
        "item; both; none"
    ),
]
BiasL2 = Annotated[float, Field(ge=0, le=100, description="L2 regularisation of the biases, per rating")]


MANY_RATINGS = 200_000
"""With more training ratings than these, an epoch teaches so much that fewer will do."""

FEWEST_EPOCHS = 0.25
"""The smallest share of the usual epochs."""


def epochs_on(ratings: int, usual: int) -> int:
    """Return how many of the usual epochs training takes on so many ratings: fewer on more than MANY_RATINGS."""
    share = math.pow(MANY_RATINGS / max(ratings, MANY_RATINGS), 0.4)
    return max(1, round(usual * max(FEWEST_EPOCHS, share)))


class FitSettings(SettingsModel):
    """Hyperparameters that every model has; most have a `patience`, too."""

    epochs: Epochs = 10

    def on(self, ratings: int) -> Self:
        """Return the settings with what hangs on the number of training ratings."""
        return self

    def bytes_needed(self, ratings: int, users: int, items: int) -> float:
        """Return how much memory a fit to so many training ratings takes; 0 where the engine alone knows."""
        return 0.0

    @property
    def fits_itself(self) -> bool:
        """Whether a model that can be built is fitted by its own function nevertheless."""
        return False


class EmbeddingSettings(FitSettings):
    """Hyperparameters of every model of embeddings that our engines train."""

    patience: Patience = 0
    embedding_size: Annotated[EmbeddingSize, Field(ge=1)] = 50
    batch_size: BatchSize = 64
    learning_rate: LearningRate = 1e-3


class MFSettings(EmbeddingSettings):
    """Plain matrix factorisation: the dot product of the user and item embeddings."""


class BiasedMFSettings(EmbeddingSettings):
    """Matrix factorisation with global mean, biases and L2 regularisation; with 0 factors, the biases only.

    Alternating least squares read no `batch_size`, `learning_rate` and `initial_sd`. With `implicit` it is SVD++, which
    reads `embedding_size`, `epochs` (the length of its learning rate's schedule) and `l2_implicit`; the other settings
    are those of matrix factorisation without it.
    """

    embedding_size: Annotated[EmbeddingSize, Field(ge=0)] = 100
    batch_size: BatchSize = 256
    epochs: Epochs = 60
    patience: Patience = 3
    learning_rate: LearningRate = 2e-3
    user_bias: bool = Field(True, description="add a user bias")
    item_bias: bool = Field(True, description="add an item bias")
    l2_factors: float = Field(0.12, ge=0, le=100, description="L2 regularisation of the factors, per rating")
    l2_biases: BiasL2 = 0.02
    initial_sd: float = Field(0.05, gt=0, le=10, description="standard deviation of the initial factors")
    solver: Literal["adam", "als"] = Field(
        "adam",
        description="what fits it without histories: adam, in batches; als, alternating least squares, which needs no "
        "learning rate and is many times as fast",
    )
    implicit: Histories = "none"
    l2_implicit: float = Field(
        20.0, ge=0, le=1e6, description="L2 regularisation of the factors of SVD++, per user or item, in ratings"
    )

    @property
    def fits_itself(self) -> bool:
        """Whether it is SVD++, or fitted by alternating least squares, which our engines do not do."""
        return self.implicit != "none" or self.solver == "als"

    @property
    def svdpp(self) -> "TowersSettings":
        """SVD++ as two towers without layers and without ratings in the histories."""
        return TowersSettings(
            embedding_size=self.embedding_size,
            epochs=self.epochs,
            histories=self.implicit,
            layers=0,
            rating_histories=False,
            l2_factors=self.l2_implicit,
            l2_histories=self.l2_implicit,
        )

    def bytes_needed(self, ratings: int, users: int, items: int) -> float:
        """Return the memory that SVD++ takes, or alternating least squares, which have the ratings in both orders."""
        if self.implicit != "none":
            return self.svdpp.bytes_needed(ratings, users, items)
        return 60.0 * ratings + 20.0 * (users + items) * (self.embedding_size + 8) if self.fits_itself else 0.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.implicit != "none" and not self.embedding_size:
            raise ValueError(
                f"implicit {self.implicit} needs factors, which embedding_size 0 leaves out: choose implicit none or "
                "an embedding_size of 1 or more"
            )
        return self


class ScheduledSettings(FitSettings):
    """Hyperparameters of a model that is trained for as many epochs as it is told to, whatever its losses.

    0 epochs are the `usual` ones, as `epochs_on` has them.
    """

    usual: ClassVar[int]
    epochs: int = Field(0, ge=0, le=10_000)

    def on(self, ratings: int) -> Self:
        """Return the settings with their number of epochs on so many training ratings."""
        return self if self.epochs else self.model_copy(update={"epochs": epochs_on(ratings, self.usual)})


class BayesMFSettings(ScheduledSettings):
    """Bayesian matrix factorisation by Gibbs sampling; with 0 factors, the biases only.

    Factors and the bias together are best a multiple of 8, as many as a processor works on at once.
    """

    embedding_size: Annotated[EmbeddingSize, Field(ge=0)] = 15
    usual: ClassVar[int] = 220
    epochs: int = Field(
        0, ge=0, le=10_000, description="sweeps of the Gibbs sampler; 0: 220, fewer on more than 200,000 ratings"
    )
    patience: int = Field(
        0,
        ge=0,
        description="early stopping: sweeps within which the validation loss has to fall by a thousandth of the "
        "variance of the ratings, or the chain ends; 0: no early stopping",
    )
    burn_in: float = Field(0.2, ge=0, lt=1, description="share of the sweeps before the first draw that counts")
    histories: Histories = "both"
    user_noise: bool = Field(True, description="noise of each user's own size, beside the items'")
    item_noise: bool = Field(True, description="noise of each item's own size, beside the users'")

    def bytes_needed(self, ratings: int, users: int, items: int) -> float:
        """Return the memory of the ratings while they are sorted, in both orders, and of all that each row has.

        A row has the draw, its prior, side information, the sums and the draws that are kept.
        """
        return 60.0 * ratings + 110.0 * (users + items) * (self.embedding_size + 1)


class DNNSettings(EmbeddingSettings):
    """Deep network (MLP) on the concatenated user and item embeddings."""

    units: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = Field(
        (128, 128), min_length=1, description="units of each hidden layer, first to last"
    )
    dropout: Dropout = 0.0


class TunedDNNSettings(DNNSettings):
    """Deep network with optional biases, dot product and regularisation; by default the notebook's network."""

    dropout: Dropout = 0.3
    epochs: Epochs = 20
    patience: Patience = 3
    activation: Activation = Field("relu", description="activation function of the hidden layers")
    input_dropout: float = Field(0.0, ge=0, lt=1, description="dropout rate of the concatenated embeddings")
    batch_normalisation: bool = Field(False, description="batch normalisation of the hidden layers")
    l2_embeddings: float = Field(0.0, ge=0, le=100, description="L2 regularisation of the embeddings, per rating")
    l2_kernels: float = Field(0.0, ge=0, le=100, description="L2 regularisation of the weights of the dense layers")
    biases: bool = Field(False, description="add the global mean, a user bias and an item bias to the output")
    l2_biases: BiasL2 = 0.02
    dot_factors: int = Field(
        0,
        ge=0,
        le=4096,
        description="size of further embeddings whose dot product is added to the output (NeuMF); 0: none",
    )
    l2_dot: float = Field(
        0.12, ge=0, le=100, description="L2 regularisation of the embeddings of the dot product, per rating"
    )


class TowersSettings(ScheduledSettings):
    """Two towers over histories: what a user has rated and who has rated an item, and how.

    `epochs` is the length of the learning rate's schedule, which nothing cuts short. Regularisation is of each
    parameter's square, in ratings: half of it is added to half the sum of the squared errors.
    """

    usual: ClassVar[int] = 24
    epochs: int = Field(0, ge=0, le=10_000, description="number of epochs; 0: 24, fewer on more than 200,000 ratings")
    embedding_size: Annotated[EmbeddingSize, Field(ge=1)] = 64
    histories: Histories = "both"
    rating_histories: bool = Field(True, description="read how the items of a history were rated, not only which")
    layers: int = Field(1, ge=0, le=2, description="hidden layers of each tower; 0: the sum of a history as it is")
    width: int = Field(64, ge=1, le=4096, description="units of each hidden layer")
    dropout: Dropout = 0.2
    l2_factors: float = Field(20.0, ge=0, le=1e6, description="L2 regularisation of the factors, in ratings")
    l2_histories: float = Field(20.0, ge=0, le=1e6, description="L2 regularisation of what histories sum, in ratings")
    l2_rating_histories: float = Field(
        60.0, ge=0, le=1e6, description="L2 regularisation of what is multiplied with the ratings, in ratings"
    )
    l2_biases: float = Field(3.0, ge=0, le=1e6, description="L2 regularisation of the biases, in ratings")
    l2_kernels: float = Field(
        3000.0, ge=0, le=1e6, description="L2 regularisation of the weights of the hidden layers, in ratings"
    )
    learning_rate: float = Field(1e-2, gt=0, le=10, description="highest learning rate of Adam")
    batches: int = Field(6, ge=2, le=254, description="batches of an epoch; histories leave the batch at hand out")

    def bytes_needed(self, ratings: int, users: int, items: int) -> float:
        """Return the memory of the ratings, at most while biases are fitted, and of all that each row has, in float32.

        A row has weights, two moments of each, and what a step computes.
        """
        parts = 1 + self.rating_histories
        numbers = self.embedding_size * (11 + 3 * parts + 2 * self.layers) + 6 * self.layers * self.width
        return 76.0 * ratings + 4.0 * numbers * (users + items)


class AutoRecSettings(FitSettings):
    """Autoencoder of the ratings of each item or each user (AutoRec)."""

    epochs: Epochs = 40
    patience: Patience = 6
    side: Literal["item", "user"] = Field("item", description="whose ratings are encoded")
    units: int = Field(100, ge=1, le=65_536, description="units of the hidden layer")
    implicit_input: bool = Field(True, description="let the input also say who rated (implicit feedback)")
    leave_out: bool = Field(
        True, description="leave each training rating out of the input while it is predicted; false: as published"
    )
    kernel: bool = Field(False, description="multiply the weights by a kernel that makes them sparse (SparseFC)")
    l2: float = Field(20.0, ge=0, le=100_000, description="L2 regularisation of the weights, in ratings")
    l2_implicit: float = Field(
        5.0, ge=0, le=100_000, description="L2 regularisation of the weights of implicit_input, in ratings"
    )
    l2_biases: float = Field(
        10.0,
        gt=0,
        le=1e6,
        description="L2 regularisation of the biases, in ratings",
    )
    l2_kernel: float = Field(0.013, ge=0, le=100_000, description="L2 regularisation of the kernel, in ratings")
    learning_rate: float = Field(1e-2, gt=0, le=10, description="learning rate of Adam in the first epochs")
    batch_rows: int = Field(256, ge=1, description="batch size, in items or users that are encoded")

    def bytes_needed(self, ratings: int, users: int, items: int) -> float:
        """Return the memory of the ratings, and of weights, gradients, two moments, the best weights and the code."""
        columns, rows = (users, items) if self.side == "item" else (items, users)
        tables = 3 * 5 + 4 * self.kernel
        return 60.0 * ratings + 4.0 * self.units * (tables * columns + 3 * rows)
