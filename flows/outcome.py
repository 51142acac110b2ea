"""What a run of the flow has come to, which is known here even where Prefect's server could not be told."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass

import httpx
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from flows.executor import ModelsFailed
from flows.server import failure_of
from recsys.errors import RunUnrecorded, ServerLost, UserError
from recsys.store.remote import without_password


@dataclass
class Outcome:
    """The report's folder once there is one, what the flow raised, and why its end was not recorded, if it was not.

    `within` makes the context in which the flow does all of its work, anew for each attempt.
    """

    within: Callable[[], AbstractContextManager[object]] = nullcontext
    folder: str = ""
    failure: Exception | None = None
    unrecorded: RunUnrecorded | None = None


_OUTCOME: ContextVar[Outcome | None] = ContextVar("outcome", default=None)
"""Of the run that has begun: Prefect hands on neither a flow's result nor its exception where it cannot record them."""


@contextmanager
def noting_outcome() -> Iterator[Outcome]:
    """Yield the outcome of the run for the flow to note its report's folder, and note what the block raises."""
    outcome = _OUTCOME.get() or Outcome()
    try:
        with outcome.within():
            yield outcome
    except Exception as error:
        outcome.failure = error
        raise


def run_to_its_end(
    flow: Callable[[], object], *, restart: bool, within: Callable[[], AbstractContextManager[object]] = nullcontext
) -> Outcome:
    """Call a flow that notes its outcome, and return that, with a report in any case.

    Args:
        flow: to be called.
        restart: whether the user can start the server again, should it be lost.
        within: makes a context for the flow to do its work in.

    Raises:
        ServerLost: the server was lost, and there is no report.
        Exception: what the flow raised, unless there is a report nevertheless.
    """
    outcome = Outcome(within)
    token = _OUTCOME.set(outcome)
    try:
        flow()
    except ModelsFailed as error:
        outcome.folder = error.folder
    except (httpx.HTTPError, ObjectNotFound) as error:
        _explain_loss(error, outcome, restart=restart)
    finally:
        _OUTCOME.reset(token)
    return outcome


def _explain_loss(error: httpx.HTTPError | ObjectNotFound, outcome: Outcome, *, restart: bool) -> None:
    url = without_password(str(PREFECT_API_URL.value()))
    lost = f"The run has lost Prefect's server: {url} {failure_of(error)}"
    if isinstance(outcome.failure, ModelsFailed):
        outcome.folder = outcome.failure.folder
    elif isinstance(outcome.failure, UserError):
        raise ServerLost(str(outcome.failure)) from error
    if not outcome.folder:
        again = "start the server again and " if restart and not isinstance(error, ObjectNotFound) else ""
        kept = f"every finished task is kept: {again}repeat the command, which goes on from there."
        raise ServerLost(f"{lost}; {kept}") from error
    complete = "the report is complete, and only Prefect's UI lacks the end of the run."
    outcome.unrecorded = RunUnrecorded(f"{lost}; {complete}")
