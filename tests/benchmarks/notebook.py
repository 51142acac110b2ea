"""The class notebook's procedure on current Keras, as one script: what our trainings are measured against.

    python -m tests.benchmarks.notebook ratings.csv --rows 100000

Prints one line of JSON: seconds of the three trainings, and the test MSE of each model.
"""

import argparse
import json
import time
from pathlib import Path

import keras
from keras import layers

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
    """Prepare the data and train the three models, as the notebook does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ratings", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    train, test, users, items = prepare(arguments.ratings, arguments.rows)
    seconds, errors = {}, {}
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True)
    for name, model, epochs, callbacks in (
        ("mf", mf(users, items), 10, []),
        ("dnn", dnn(users, items), 10, []),
        ("dnn_tuned", dnn(users, items, dropout=0.3), 20, [stopping]),
    ):
        start = time.perf_counter()
        model.compile(keras.optimizers.Adam(0.001), "mean_squared_error", metrics=["mean_squared_error"])
        test_rows = ([test["userId"], test["movieId"]], test["rating"])
        model.fit(
            [train["userId"], train["movieId"]],
            train["rating"],
            epochs=epochs,
            batch_size=64,
            validation_data=test_rows,
            callbacks=callbacks,
            verbose=0,
        )
        seconds[name] = time.perf_counter() - start
        errors[name] = float(model.evaluate(*test_rows, verbose=0)[1])
    print(json.dumps({"fit_seconds": seconds, "mse": errors}))


if __name__ == "__main__":
    main()
