"""The class notebook on current Keras, as one script: what our trainings are measured against.

    python -m tests.benchmarks.notebook ratings.csv --rows 100000

It does and shows all that the notebook does: summaries, progress bars, evaluations, plots of the losses. The last
line is JSON: seconds of the three trainings, and the test MSE of each model.
"""

import argparse
import io
import json
import time
from pathlib import Path

import keras
import matplotlib
from keras import layers
from matplotlib import pyplot as plt

from tests.benchmarks.notebook_preparation import prepare

EMBEDDING, UNITS = 50, 128


def mf(users: int, items: int) -> keras.Model:
    """Return the notebook's matrix factorisation."""
    user, item = layers.Input((1,), name="user_input"), layers.Input((1,), name="movie_input")
    user_vector = layers.Embedding(users, EMBEDDING, name="user_embedding")(user)
    item_vector = layers.Embedding(items, EMBEDDING, name="movie_embedding")(item)
    dot = layers.Dot(axes=2, name="dot_product")([user_vector, item_vector])
    return keras.Model([user, item], layers.Flatten(name="dot_product_flat")(dot))


def dnn(users: int, items: int, dropout: float = 0.0) -> keras.Model:
    """Return the notebook's deep network; with dropout, its tuned one."""
    user, item = layers.Input((1,), name="user_input_dnn"), layers.Input((1,), name="movie_input_dnn")
    user_vector = layers.Flatten()(layers.Embedding(users, EMBEDDING, name="user_embedding_dnn")(user))
    item_vector = layers.Flatten()(layers.Embedding(items, EMBEDDING, name="movie_embedding_dnn")(item))
    hidden = layers.Concatenate(name="concatenated_dnn")([user_vector, item_vector])
    hidden = layers.Dense(UNITS, activation="relu", name="dense1")(hidden)
    if dropout:
        hidden = layers.Dropout(dropout, name="dropout1")(hidden)
    hidden = layers.Dense(UNITS, activation="relu", name="dense2")(hidden)
    return keras.Model([user, item], layers.Dense(1, activation="linear", name="output_dnn")(hidden))


def main() -> None:
    """Prepare the data, train, show and evaluate the models, as the notebook does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ratings", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    matplotlib.use("agg")
    train, test, users, items = prepare(arguments.ratings, arguments.rows)
    test_rows = ([test["userId"], test["movieId"]], test["rating"])
    models = {"mf": mf(users, items), "dnn": dnn(users, items), "dnn_tuned": dnn(users, items, dropout=0.3)}
    seconds, errors = {}, {}
    for name, model in models.items():
        if name == "dnn_tuned":  # the plain models meet the test rows once more before
            for plain in ("mf", "dnn"):
                models[plain].evaluate(*test_rows)
        stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True)
        start = time.perf_counter()
        model.compile(keras.optimizers.Adam(0.001), "mean_squared_error", metrics=["mean_squared_error"])
        model.summary()
        history = model.fit(
            [train["userId"], train["movieId"]],
            train["rating"],
            epochs=20 if name == "dnn_tuned" else 10,
            batch_size=64,
            validation_data=test_rows,
            callbacks=[stopping] if name == "dnn_tuned" else [],
        )
        seconds[name] = time.perf_counter() - start
        errors[name] = float(model.evaluate(*test_rows)[1])
        if name != "dnn_tuned":
            show_losses(history.history)
    print(json.dumps({"fit_seconds": seconds, "mse": errors}))


def show_losses(history: dict[str, list[float]]) -> None:
    """Draw the losses of an epoch on training and test rows."""
    plt.plot(history["loss"])
    plt.plot(history["val_loss"])
    plt.title("Model loss")
    plt.ylabel("Loss")
    plt.xlabel("Epoch")
    plt.legend(["Train", "Test"], loc="upper left")
    plt.savefig(io.BytesIO())
    plt.close()


if __name__ == "__main__":
    main()
