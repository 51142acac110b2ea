"""The flow `compare_if_changed`: compare anew where there are new ratings, and only there."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.access import check_places
from flows.compare import compare
from recsys.data.source import SETTLING, locate, may_be_growing, newest
from recsys.settings import Settings
from recsys.store.last_comparison import Compared, last_compared, remember
from recsys.store.store import Store
from tasks.data import download


@flow(name="compare_if_changed", flow_run_name="{settings.title}, if changed")
def compare_if_changed(settings: Settings = Settings()) -> State[str | None]:
    """Compare only if the ratings, or these settings, are others than in the last comparison.

    What counts is the content of the ratings. A run that fails is not remembered, and so tried again next time.

    Args:
        settings: those of the comparison; `data.ratings` may also be a folder, of which the file that was changed last
            is compared.

    Returns:
        Completed, with the report's folder: as "Completed" after a comparison, as "Unchanged" without one; or without
        a report as "Waiting", where there is no complete file yet.
    """
    check_places(settings)
    given = settings.data.ratings and Path(settings.data.ratings).expanduser()
    if given and given.is_dir():
        file = newest(given)
        if file is None:
            return _ended("Waiting", f"{given} holds no ratings file yet.")
        data = settings.data.model_copy(update={"ratings": str(file)})
    else:
        data = settings.data
    if data.is_downloaded:
        download(data)
    ratings = locate(data).ratings
    to_compare = settings.model_copy(update={"data": data})
    check_places(to_compare)  # the file may be a link that leads elsewhere
    if not ratings.is_file():
        return _compared(compare(to_compare))  # which says what is wrong with it
    if given and may_be_growing(ratings):
        return _ended(
            "Waiting",
            f"{ratings} was changed less than {SETTLING:g} s ago and may be growing: the next run looks again.",
        )

    sha256 = Store(settings.output.store).digest(ratings)
    before = None if settings.refresh else last_compared(settings)
    if before and before.sha256 == sha256:
        return _ended(
            "Unchanged", f"{ratings} holds the ratings that were compared last: {before.report}", before.report
        )
    report = compare(to_compare)
    remember(settings, Compared(ratings=str(ratings), sha256=sha256, report=report))
    return _compared(report)


def _compared(report: str) -> State[str | None]:
    return _ended("Completed", f"The ratings were compared: {report}", report)


def _ended(name: str, message: str, report: str | None = None) -> State[str | None]:
    get_run_logger().info(message)
    return Completed(name=name, message=message, data=report)
