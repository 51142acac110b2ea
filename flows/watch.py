"""The flow `compare_if_changed`: a comparison that runs only if the ratings or the settings have changed."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.access import check_paths
from flows.compare import compare
from recsys.data.source import SETTLING, deliveries, locate, may_be_growing
from recsys.parts import parts_of
from recsys.settings import Settings
from recsys.store.compared import Compared, digests, last_compared, outstanding, remember
from recsys.store.store import Store
from tasks.data import download


@flow(name="compare_if_changed", flow_run_name="{settings.title}, if changed")
def compare_if_changed(settings: Settings = Settings()) -> State[str | None]:
    """Compare only if the content of the ratings, or these settings, differ from those of the last comparison.

    A comparison that fails does not count as the last one, so the next run tries again.

    Args:
        settings: those of the comparison; `data.ratings` may also be a folder. Of its files, or folders of parts, the
            one that was changed last is compared, and from then on each, one a run, whose content is new, whatever its
            name and time.

    Returns:
        A completed state with the report's folder, named "Completed" after a comparison and "Unchanged" without one;
        or one named "Waiting", without a report, if there is no complete file yet.
    """
    check_paths(settings)
    data = settings.data
    given = data.ratings and Path(data.ratings).expanduser()
    last = None if settings.refresh else last_compared(settings)
    if given and given.is_dir() and not parts_of(given):
        return _of_folder(settings, given, last)
    if data.is_downloaded:
        download(data)
    ratings = locate(data).ratings
    if not ratings.is_file() and not parts_of(ratings):
        return _compared(compare(settings))  # which says what is wrong
    if given and may_be_growing(ratings):
        return _growing(ratings)
    sha256 = Store(settings.output.store).digest(ratings)
    if last and last.sha256 == sha256:
        message = f"{ratings} holds the ratings that were compared last: {last.report}"
        return _completed("Unchanged", message, last.report)
    report = compare(settings)
    remember(settings, Compared(ratings=str(ratings), sha256=sha256, report=report))
    return _compared(report)


def _of_folder(settings: Settings, folder: Path, last: Compared | None) -> State[str | None]:
    """Compare the next file of a folder whose content was not compared before, if there is one."""
    files = deliveries(folder)
    if not files:
        return _completed("Waiting", f"{folder} holds no ratings file yet.")
    growing = [file for file in files if may_be_growing(file)]
    if last is None and growing[-1:] == files[-1:]:
        return _growing(files[-1])
    present = digests(Store(settings.output.store), [file for file in files if file not in growing])
    waiting = outstanding(present, last)
    if not waiting and growing:
        return _growing(growing[-1])
    if last and not waiting:
        if last.delivered is None:
            remember(settings, last.after(last, present))
        message = f"{folder} holds no ratings but those that have been compared: {last.report}"
        return _completed("Unchanged", message, last.report)
    file = waiting[0]
    ratings = settings.data.model_copy(update={"ratings": str(file)})
    to_compare = settings.model_copy(update={"data": ratings})
    check_paths(to_compare)  # it may be a link
    try:
        report = compare(to_compare)
    except Exception:
        if last:
            remember(settings, last.but_failed(present[file]))
        raise
    remember(settings, Compared(ratings=str(file), sha256=present[file], report=report).after(last, present))
    return _compared(report)


def _growing(file: Path) -> State[str | None]:
    message = f"{file} was changed less than {SETTLING:g} s ago and may be growing: the next run looks again."
    return _completed("Waiting", message)


def _compared(report: str) -> State[str | None]:
    return _completed("Completed", f"The ratings were compared: {report}", report)


def _completed(name: str, message: str, report: str | None = None) -> State[str | None]:
    get_run_logger().info(message)
    return Completed(name=name, message=message, data=report)
