"""The flow `compare_if_changed`: a comparison that runs only if the ratings or the settings have changed."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.access import check_paths
from flows.compare import compare
from recsys.data.source import SETTLING, locate, may_be_growing, newest
from recsys.parts import parts_of
from recsys.settings import Settings
from recsys.store.run_history import Compared, last_compared, remember
from recsys.store.store import Store
from tasks.data import download


@flow(name="compare_if_changed", flow_run_name="{settings.title}, if changed")
def compare_if_changed(settings: Settings = Settings()) -> State[str | None]:
    """Compare only if the content of the ratings, or these settings, differ from those of the last comparison.

    A comparison that fails does not count as the last one, so the next run tries again.

    Args:
        settings: those of the comparison; `data.ratings` may also be a folder, of which the file that was changed last
            is compared, unless it is a folder of parts.

    Returns:
        A completed state with the report's folder, named "Completed" after a comparison and "Unchanged" without one;
        or one named "Waiting", without a report, if there is no complete file yet.
    """
    check_paths(settings)
    data = settings.data
    given = data.ratings and Path(data.ratings).expanduser()
    if given and given.is_dir():
        file = newest(given)
        if file is None:
            return _completed("Waiting", f"{given} holds no ratings file yet.")
        data = data.model_copy(update={"ratings": str(file)})
    if data.is_downloaded:
        download(data)
    ratings = locate(data).ratings
    to_compare = settings.model_copy(update={"data": data})
    check_paths(to_compare)  # the file in the folder may be a link
    if not ratings.is_file() and not parts_of(ratings):
        return _compared(compare(to_compare))  # which says what is wrong
    if given and may_be_growing(ratings):
        message = f"{ratings} was changed less than {SETTLING:g} s ago and may be growing: the next run looks again."
        return _completed("Waiting", message)
    sha256 = Store(settings.output.store).digest(ratings)
    last = None if settings.refresh else last_compared(settings)
    if last and last.sha256 == sha256:
        message = f"{ratings} holds the ratings that were compared last: {last.report}"
        return _completed("Unchanged", message, last.report)
    report = compare(to_compare)
    remember(settings, Compared(ratings=str(ratings), sha256=sha256, report=report))
    return _compared(report)


def _compared(report: str) -> State[str | None]:
    return _completed("Completed", f"The ratings were compared: {report}", report)


def _completed(name: str, message: str, report: str | None = None) -> State[str | None]:
    get_run_logger().info(message)
    return Completed(name=name, message=message, data=report)
