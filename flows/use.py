"""The commands that use what a comparison has found: `mf-or-dnn predict`, `recommend`, `export`, `show` and `diff`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from recsys.errors import BadSettings
from recsys.progress import Progress
from recsys.text import escaped
from recsys.winner.settings import PredictSettings, RecommendSettings


def predict(*, settings: Annotated[PredictSettings, Parameter(name="*")]) -> None:
    """Predict the ratings of pairs of a user and an item with the model to use, in your own ids.

    The output has the columns user, item, prediction, known_user and known_item, low and high (an 80% interval, where
    the model has one), and rating where the file has one; then errors are printed, too.

    Args:
        settings: see there.
    """
    from recsys.winner.predictions import predict_file
    from recsys.winner.recommender import Recommender

    _require(settings.out, settings.pairs, settings.ratings_of_new_users)
    console = Console(highlight=False)
    with _progress(console) as progress:
        predicted = predict_file(Recommender.load(settings.winner), settings, progress)
    _say(console, *predicted.sentences, f"Predictions: {settings.out}")


def recommend(*, settings: Annotated[RecommendSettings, Parameter(name="*")]) -> None:
    """Write the unrated items with the highest predictions of each user, in your own ids, with titles where known.

    The output has the columns user, rank, item, title and prediction.

    Args:
        settings: see there.
    """
    from recsys.winner.lists import users_file, write_lists
    from recsys.winner.recommender import Recommender

    files = settings.items, settings.exclude_rated, settings.ratings_of_new_users
    _require(settings.out, users_file(settings.users), *files)
    console = Console(highlight=False)
    with _progress(console) as progress:
        said = write_lists(Recommender.load(settings.winner), settings, progress)
    _say(console, said, f"Lists: {settings.out}")


def export(*, winner: str, format: Literal["onnx", "tf", "vectors"], out: str) -> None:
    """Write the model to use for other programs, with the ids and a README.md, checked by reading it back.

    Args:
        winner: folder winner of a report.
        format: onnx: for ONNX Runtime; tf: a SavedModel of TensorFlow; vectors: arrays of users and items whose inner
            products are predicted ratings, for FAISS, hnswlib or a database.
        out: new folder to write.
    """
    from recsys.winner.tables import require_new_folder

    require_new_folder(Path(out).expanduser())  # before TensorFlow is loaded, which takes seconds
    from recsys.winner.export import export as export_winner

    console = Console(highlight=False)
    with _progress(console):
        said = export_winner(Path(winner).expanduser(), format, Path(out).expanduser())
    _say(console, said)


def show(report: str, /) -> None:
    """Print the table, the verdict and the model card of a report.

    Args:
        report: folder of the report.
    """
    from flows.show import show as show_folder

    show_folder(Console(highlight=False), Path(report).expanduser())


def diff(first: str, second: str, /, *, out: str | None = None) -> None:
    """Print what differs between two reports: settings, data, versions, scores and verdict.

    A row is said to have improved or become worse only if both reports were tested on the same ratings.

    Args:
        first: folder of a report.
        second: folder of another one.
        out: page to write, .html.
    """
    from flows.show import show_report
    from recsys.report.diff import diff as differences
    from recsys.report.diff import write_diff

    found = differences(Path(first).expanduser(), Path(second).expanduser())
    console = Console(highlight=False)
    show_report(console, found)
    if out is not None:
        if not out.strip():
            raise BadSettings("--out is empty: give it the path of a page to write, or leave it out.")
        write_diff(found, Path(out).expanduser())
        _say(console, f"Page: {out}")


def _require(out: str, *files: str | None) -> None:
    """Say what cannot be written or read before the model is loaded, which takes seconds."""
    from recsys.data.opening import open_ratings
    from recsys.winner.tables import require_output

    require_output(Path(out).expanduser())
    for file in filter(None, files):
        with open_ratings(Path(file).expanduser()):
            pass


def _say(console: Console, *sentences: str) -> None:
    for sentence in sentences:
        console.print(Text(escaped(sentence)), soft_wrap=True)


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    """Show the last message of some long work on a terminal, and nothing elsewhere."""
    with console.status("loading the model") as status:
        yield lambda done, total, message: status.update(Text(escaped(message)))
