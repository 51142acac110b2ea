"""The rows of the comparison, one record each: whoever adds a model adds its module, its record and its settings here.

Titles, order, colours, tasks, settings, searches, blends and the report all read these records. Nothing here loads
Keras or TensorFlow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from recsys.config import SettingsModel, section
from recsys.models.search_space import Between, OneOf, SearchSpace
from recsys.models.settings import (
    AutoRecSettings,
    BayesMFSettings,
    BiasedMFSettings,
    DNNSettings,
    FitSettings,
    MFSettings,
    TowersSettings,
    TunedDNNSettings,
)

Family = Literal["mf", "dnn"]
"""Matrix factorisation, or deep network."""

FAMILIES: tuple[Family, ...] = ("mf", "dnn")


MOST_FOR_HISTORIES = 5_000_000
"""Training ratings up to which the fits are made that show what histories bring: of more, they take too long."""


@dataclass(frozen=True)
class Colour:
    """The colour of a row in plots: on the light page, on paper and in files, and on the dark page."""

    light: str
    dark: str


@dataclass(frozen=True, kw_only=True)
class RowSpec:
    """A row of the table.

    Attributes:
        name: in settings, files and seeds.
        title: in sentences and tables.
        colour: None for the grey of the means.
        marker: Matplotlib's; also the line differs between models and baselines, so that a plot reads in grey.
        blended: whether it may have a weight in the blend.
    """

    name: str
    title: str
    colour: Colour | None = None
    marker: str = "D"
    blended: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelSpec(RowSpec):
    """A model that is trained, either a Keras model by our engines or by a fit of its own, or as its settings say.

    Functions are named as "module:function" (`pkgutil.resolve_name`) and imported where they are called.

    Attributes:
        settings: class of its settings, which are the field `name` of `Settings`.
        detail: what the name of a training's run tells of the settings, as a format string over `settings`.
        build: of a Keras model, the function (users, items, settings, seed, ratings) -> untrained model; `ratings`
            is a `recsys.models.predictor.TrainingRatings`.
        fit: of any other model, and where the settings' `fits_itself`, the function (users, items, data, settings,
            seed, progress, checkpoint) -> (`recsys.models.predictor.SavedPredictor`, `recsys.training.fit.Fit`).
        load: of such a model, the function path -> `recsys.models.predictor.Predictor`.
        libraries: packages that make its numbers.
        space: what is searched in protocol `fair`, where the model competes with the others of its family that have a
            space, of which the cheapest comes first; without one it is trained with its settings as they are.
        chooses_epochs: whether the epoch of the lowest validation loss is how long a refit is trained; not where the
            schedule is fixed, or where more epochs are only ever better. Trials of such a model all have the epochs of
            its space, if its settings do not have fewer, and a refit those of its settings.
        in_notebook: whether the class notebook has it, so that protocol `notebook` trains it.
        standardised: whether it is fitted to the ratings less their mean, divided by their standard deviation, so that
            its settings mean the same on any scale. The notebook's models are not.
        histories: the setting that says whose histories are read, of the model that shows for its family what they
            bring.
        most_ratings: training ratings up to which it takes part in a search that does not name it, as more take hours.
        defaults: what its default settings are called in the report.
    """

    family: Family
    settings: type[FitSettings]
    detail: str
    build: str | None = None
    fit: str | None = None
    load: str = "recsys.models.keras_predictor:load_keras"
    file: str = "model.keras"
    libraries: tuple[str, ...] = ("keras", "numpy", "tensorflow")
    space: SearchSpace | None = None
    chooses_epochs: bool = True
    in_notebook: bool = False
    standardised: bool = False
    histories: str | None = None
    most_ratings: int | None = None
    defaults: str = "the default settings"

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of the model's build and fit functions."""
        return tuple(place.partition(":")[0] for place in (self.build, self.fit) if place)

    def reading(self, settings: FitSettings, histories: str) -> FitSettings:
        """Return settings that read these histories, with half the epochs of a trial."""
        assert self.histories is not None
        assert self.space is not None, "it is searched"
        epochs = max(1, min(settings.epochs, self.space.epochs) // 2)
        return settings.model_copy(update={self.histories: histories, "epochs": epochs})

    @property
    def short_name(self) -> str:
        """The name of its trials."""
        return self.name.removesuffix("_tuned")


MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="mf",
        title="MF",
        family="mf",
        settings=MFSettings,
        build="recsys.models.mf:build",
        detail="{settings.embedding_size} factors",
        colour=Colour("#0072b2", "#5ab4f2"),
        marker="o",
        in_notebook=True,
    ),
    ModelSpec(
        name="mf_tuned",
        title="tuned MF",
        family="mf",
        settings=BiasedMFSettings,
        build="recsys.models.biased_mf:build",
        fit="recsys.training.als:fit_mf",
        libraries=("keras", "numba", "numpy", "scipy", "tensorflow"),
        detail="{settings.embedding_size} factors",
        colour=Colour("#4b3fae", "#a99df5"),
        marker="P",
        blended=True,
        standardised=True,
        space=SearchSpace(
            fields={
                "embedding_size": OneOf((50, 100, 200), sizes=True, known=100),
                "implicit": OneOf(("both",), ordered=False, known="both"),
                "l2_implicit": Between(7, 60, log=True, known=20),
            },
            simpler=({"embedding_size": 0, "implicit": "none", "learning_rate": 3e-3},),
            epochs=16,
        ),
    ),
    ModelSpec(
        name="bayes_mf",
        title="Bayesian MF",
        family="mf",
        settings=BayesMFSettings,
        fit="recsys.training.gibbs.fit:fit",
        load="recsys.models.bayes_mf:load",
        libraries=("numba", "numpy"),
        detail="{settings.embedding_size} factors",
        colour=Colour("#7b2d8b", "#d18be0"),
        marker="h",
        blended=True,
        standardised=True,
        chooses_epochs=False,
        histories="histories",
        space=SearchSpace(
            fields={
                "embedding_size": OneOf((7, 15, 23, 31), known=15),
                "user_noise": OneOf((True, False), ordered=False, known=True),
                "item_noise": OneOf((True, False), ordered=False, known=True),
            },
            further=frozenset({"user_noise", "item_noise"}),
            simpler=({"embedding_size": 0},),
            epochs=140,
        ),
    ),
    ModelSpec(
        name="dnn",
        title="DNN",
        family="dnn",
        settings=DNNSettings,
        build="recsys.models.mlp:build",
        detail="dropout {settings.dropout:g}",
        colour=Colour("#d55e00", "#ff9b52"),
        marker="s",
        in_notebook=True,
    ),
    ModelSpec(
        name="dnn_tuned",
        title="tuned DNN",
        family="dnn",
        settings=TunedDNNSettings,
        build="recsys.models.neumf:build",
        detail="dropout {settings.dropout:g}",
        colour=Colour("#009e73", "#41d1a2"),
        marker="^",
        blended=True,
        standardised=True,
        in_notebook=True,
        defaults="the notebook's hand-tuned point",
        space=SearchSpace(
            fields={
                "embedding_size": OneOf((25, 50, 100), sizes=True, known=50),
                "units": OneOf(
                    ([64], [128], [256], [64, 64], [128, 64], [128, 128], [128, 64, 32]), ordered=False, known=[64]
                ),
                "activation": OneOf(("relu", "gelu", "tanh"), ordered=False, known="relu"),
                "dropout": Between(0.0, 0.6, known=0.3),
                "input_dropout": Between(0.0, 0.5, known=0.0),
                "batch_normalisation": OneOf((False, True), ordered=False, known=False),
                "l2_embeddings": Between(0.003, 0.3, log=True, penalty=True, known=0.02),
                "l2_kernels": Between(0.001, 0.05, log=True, known=0.02),
                "biases": OneOf((True, False), ordered=False, known=True),
                "dot_factors": OneOf((0, 50, 100), known=100),
                "l2_dot": Between(0.03, 0.3, log=True, penalty=True, known=0.12),
                "learning_rate": Between(3e-4, 3e-3, log=True, known=2e-3),
                "batch_size": OneOf((128, 256, 512), known=256),
            },
            further=frozenset({"activation", "batch_normalisation", "biases", "dot_factors", "batch_size"}),
        ),
    ),
    ModelSpec(
        name="towers",
        title="two towers",
        family="dnn",
        settings=TowersSettings,
        fit="recsys.training.histories:fit_towers",
        load="recsys.models.towers:load",
        libraries=("keras", "numba", "numpy", "scipy", "tensorflow"),
        detail="{settings.embedding_size} factors",
        colour=Colour("#a6366f", "#f08cb8"),
        marker="<",
        blended=True,
        standardised=True,
        chooses_epochs=False,
        histories="histories",
        most_ratings=10_000_000,
        space=SearchSpace(
            fields={
                "embedding_size": OneOf((32, 64, 96), known=64),
                "layers": OneOf((0, 1, 2), known=1),
                "l2_factors": Between(7, 60, log=True, known=20),
                "l2_histories": Between(7, 60, log=True, known=20),
                "l2_rating_histories": Between(20, 180, log=True, known=60),
                "l2_kernels": Between(1000, 10_000, log=True, known=3000),
            },
            epochs=18,
        ),
    ),
    ModelSpec(
        name="autorec",
        title="AutoRec",
        family="dnn",
        settings=AutoRecSettings,
        fit="recsys.training.autorec:fit",
        detail="{settings.units} units",
        libraries=("keras", "numba", "numpy", "scipy", "tensorflow"),
        colour=Colour("#b58900", "#e8c547"),
        marker="p",
        blended=True,
        standardised=True,
        space=SearchSpace(
            fields={
                "side": OneOf(("item", "user"), ordered=False, known="item"),
                "units": OneOf((50, 100, 200), known=100),
                "kernel": OneOf((False, True), ordered=False, known=False),
                "implicit_input": OneOf((True, False), ordered=False, known=True),
                "l2": Between(8.0, 80.0, log=True, known=20.0),
                "l2_implicit": Between(2.0, 40.0, log=True, known=5.0),
                "learning_rate": Between(3e-3, 3e-2, log=True, known=1e-2),
                "batch_rows": OneOf((128, 256, 512), known=256),
            },
            further=frozenset({"kernel", "implicit_input", "batch_rows"}),
            simpler=({"units": 1, "l2": 1e5, "l2_implicit": 1e5, "l2_biases": 3.0},),
            epochs=40,
        ),
    ),
)
"""In the order of the table."""


class ModelSections(SettingsModel):
    """A section of settings for each model."""

    mf: Annotated[MFSettings, section("Matrix factorisation", 4, flat=False)] = MFSettings()
    mf_tuned: Annotated[BiasedMFSettings, section("Tuned matrix factorisation (protocol fair)", 4, flat=False)] = (
        BiasedMFSettings()
    )
    bayes_mf: Annotated[BayesMFSettings, section("Bayesian matrix factorisation (protocol fair)", 4, flat=False)] = (
        BayesMFSettings()
    )
    dnn: Annotated[DNNSettings, section("Deep network", 5, flat=False)] = DNNSettings()
    dnn_tuned: Annotated[TunedDNNSettings, section("Tuned deep network", 6, flat=False)] = TunedDNNSettings()
    towers: Annotated[TowersSettings, section("Two towers (protocol fair)", 6, flat=False)] = TowersSettings()
    autorec: Annotated[AutoRecSettings, section("AutoRec (protocol fair)", 6, flat=False)] = AutoRecSettings()


BASELINES: tuple[RowSpec, ...] = (
    RowSpec(name="item_knn", title="item kNN", colour=Colour("#6d7986", "#9aa5b2"), marker="X", blended=True),
    RowSpec(
        name="popularity_slope",
        title="popularity slope",
        colour=Colour("#8a5a2b", "#d3a273"),
        marker="v",
        blended=True,
    ),
    RowSpec(name="bias_only", title="bias only", colour=Colour("#3f4a57", "#ccd2da"), blended=True),
    RowSpec(name="item_mean", title="item mean"),
    RowSpec(name="user_mean", title="user mean"),
    RowSpec(name="global_mean", title="global mean"),
)
"""In the order of the table, below the models."""

BLEND = "blend"
"""Name and title of the row that combines those that are `blended`."""

MODEL: Mapping[str, ModelSpec] = {spec.name: spec for spec in MODELS}
ROW: Mapping[str, RowSpec] = {spec.name: spec for spec in (*MODELS, *BASELINES)}
TUNED: tuple[ModelSpec, ...] = tuple(spec for spec in MODELS if spec.space)
NOTEBOOK: tuple[ModelSpec, ...] = tuple(spec for spec in MODELS if spec.in_notebook)


def family_of(name: str) -> Family | None:
    """Return the family of a row, None for a row that is no model of ours."""
    spec = MODEL.get(name)
    return spec.family if spec else None
