"""The settings of each model, without Keras."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from recsys.config import SettingsModel

Activation = Literal["relu", "tanh", "gelu", "silu"]


class FitSettings(SettingsModel):
    """How a model is fitted, whatever it is."""

    embedding_size: int = Field(50, ge=1, le=4096, description="numbers per user and per item (factors)")
    epochs: int = Field(10, ge=1, le=10_000, description="passes over the training ratings, at most")
    batch_size: int = Field(64, ge=1, description="ratings per gradient step")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="step size of Adam")
    patience: int = Field(
        0,
        ge=0,
        description="stop after this many epochs without a better validation loss and restore the best weights; "
        "0: run all epochs and keep the last weights",
    )


class MFSettings(FitSettings):
    """Matrix factorisation: the dot product of a user's and an item's embedding."""


class BiasedMFSettings(FitSettings):
    """Matrix factorisation with mean, biases and regularisation; 0 factors leave the biases alone."""

    embedding_size: int = Field(100, ge=0, le=4096, description="numbers per user and per item (factors)")
    batch_size: int = Field(256, ge=1, description="ratings per gradient step")
    epochs: int = Field(60, ge=1, le=10_000, description="passes over the training ratings, at most")
    patience: int = Field(
        3,
        ge=0,
        description="stop after this many epochs without a better validation loss and restore the best weights; "
        "0: run all epochs and keep the last weights",
    )
    user_bias: bool = Field(True, description="whether each user has a bias")
    item_bias: bool = Field(True, description="whether each item has a bias")
    l2_factors: float = Field(0.12, ge=0, le=100, description="what a rating pays for the squares of its factors")
    l2_biases: float = Field(0.02, ge=0, le=100, description="what a rating pays for the squares of its biases")
    initial_sd: float = Field(0.05, gt=0, le=10, description="standard deviation of the initial factors")
    history: int = Field(
        0,
        ge=0,
        le=1000,
        description="of how many of a user's rated items the model reads that they were rated at all (SVD++); 0: none",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.history and not self.embedding_size:
            raise ValueError(
                f"history {self.history} needs factors, which embedding_size 0 leaves out: choose history 0 or an "
                "embedding_size of 1 or more"
            )
        return self


class DNNSettings(FitSettings):
    """Deep network on the concatenated embeddings of user and item."""

    units: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = Field(
        (128, 128), min_length=1, description="units of each hidden layer, first to last"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="share of a hidden layer's outputs dropped while training")


class TunedDNNSettings(DNNSettings):
    """A deep network with what careful engineers add; as it stands, the notebook's hand-tuned network."""

    dropout: float = Field(0.3, ge=0, lt=1, description="share of a hidden layer's outputs dropped while training")
    epochs: int = Field(20, ge=1, le=10_000, description="passes over the training ratings, at most")
    patience: int = Field(
        3,
        ge=0,
        description="stop after this many epochs without a better validation loss and restore the best weights; "
        "0: run all epochs and keep the last weights",
    )
    activation: Activation = Field("relu", description="activation of the hidden layers")
    input_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the concatenated embeddings dropped while training"
    )
    batch_normalisation: bool = Field(False, description="whether hidden layers are normalised over each batch")
    l2_embeddings: float = Field(0.0, ge=0, le=100, description="what a rating pays for the squares of its embeddings")
    l2_kernels: float = Field(
        0.0, ge=0, le=100, description="what the loss pays for the squares of the dense layers' weights"
    )
    biases: bool = Field(
        False, description="whether the ratings' mean, a user bias and an item bias are added to the network"
    )
    l2_biases: float = Field(0.02, ge=0, le=100, description="what a rating pays for the squares of its biases")
    dot_factors: int = Field(
        0, ge=0, le=4096, description="size of further embeddings whose dot product is added to the network; 0: none"
    )
    l2_dot: float = Field(
        0.12, ge=0, le=100, description="what a rating pays for the squares of its further embeddings"
    )
