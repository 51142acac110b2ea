"""A run of which Prefect's server cannot be told: what is there is shown, and what is missing is said."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.executor import ModelsFailed
from flows.outcome import noting_outcome, run_to_its_end
from recsys.errors import BadRatings, RunUnrecorded, ServerLost
from tests.factories import write_ratings
from tests.interrupting import PATIENT, Run, long_settings, numbers
from tests.processes import PrefectServer

URL = "http://127.0.0.1:9/api"

FORGOTTEN = ObjectNotFound(http_exc=ValueError())
SILENT = httpx.ConnectError("refused")

AFTER_THE_REPORT = "; the report is complete, and only Prefect's UI lacks the end of the run."

every_loss = pytest.mark.parametrize(
    ("loss", "said"),
    [
        (FORGOTTEN, f"{URL} does not know the run any more, as another server or database has taken its place"),
        (SILENT, f"{URL} does not answer"),
    ],
    ids=["forgotten", "silent"],
)


def flow(comes_to: str | Exception, loss: Exception | None) -> Callable[[], str]:
    """Return what behaves as a flow does whose body has this result, and whose server is lost then."""

    def body() -> str:
        with noting_outcome() as outcome:
            if isinstance(comes_to, Exception):
                raise comes_to
            outcome.folder = comes_to
        return comes_to

    def recorded() -> str:
        try:
            result = body()
        except Exception:
            if loss:
                raise loss from None
            raise
        if loss:
            raise loss
        return result

    return recorded


def test_each_attempt_of_a_flow_works_within_the_context_that_it_was_given() -> None:
    course: list[str] = []

    @contextmanager
    def within() -> Iterator[None]:
        course.append("begun")
        yield
        course.append("ended")

    def body() -> None:
        for _ in range(2):
            with noting_outcome():
                course.append("at work")

    run_to_its_end(body, restart=True, within=within)
    assert course == ["begun", "at work", "ended"] * 2


def test_nothing_is_said_of_a_run_that_was_recorded() -> None:
    outcome = run_to_its_end(flow("reports/run", None), restart=True)
    assert (outcome.folder, outcome.failure, outcome.unrecorded) == ("reports/run", None, None)


@every_loss
def test_a_report_is_kept(loss: Exception, said: str) -> None:
    with temporary_settings({PREFECT_API_URL: URL}):
        outcome = run_to_its_end(flow("reports/run", loss), restart=True)
    assert (outcome.folder, outcome.failure) == ("reports/run", None)
    assert isinstance(outcome.unrecorded, RunUnrecorded)
    assert str(outcome.unrecorded) == f"The run has lost Prefect's server: {said}{AFTER_THE_REPORT}"


@pytest.mark.parametrize("loss", [None, FORGOTTEN])
def test_so_is_the_report_on_the_other_models(loss: Exception | None) -> None:
    failed = ModelsFailed({"train_mf": "no memory"}, "reports/run")
    outcome = run_to_its_end(flow(failed, loss), restart=True)
    assert (outcome.folder, outcome.failure) == ("reports/run", failed)
    assert (outcome.unrecorded is None) == (loss is None)


@every_loss
def test_what_the_user_can_correct_is_what_is_said(loss: Exception, said: str) -> None:
    with pytest.raises(ServerLost, match=r"^line 3 has no rating\.$"):
        run_to_its_end(flow(BadRatings("line 3 has no rating."), loss), restart=True)


@pytest.mark.parametrize(
    ("loss", "restart", "remedy"),
    [
        (SILENT, True, "start the server again and repeat the command"),
        (SILENT, False, "repeat the command"),
        (FORGOTTEN, True, "repeat the command"),
    ],
)
def test_without_a_report_there_is_a_remedy(loss: Exception, restart: bool, remedy: str) -> None:
    with pytest.raises(ServerLost, match=f"; every finished task is kept: {remedy}, which goes on from there.$"):
        run_to_its_end(flow(httpx.ReadTimeout("in the flow"), loss), restart=restart)


def expect_unrecorded(run: Run) -> None:
    """Expect the end of a run that its server has forgotten: the table, the report and one sentence."""
    assert run.ends() == 2
    lines = run.said().splitlines()
    assert "Traceback" not in run.said()
    assert any(line.startswith("Bias only") for line in lines)
    *_, report, last = lines
    assert report == f"Report: {Path(run.settings.output.reports) / 'run' / 'report.html'}"
    assert last.startswith("compare: The run has lost Prefect's server: ")
    assert last.endswith(
        f" does not know the run any more, as another server or database has taken its place{AFTER_THE_REPORT}"
    )


def test_a_run_that_is_deleted_at_its_server_ends_with_its_report(prefect_server: str, tmp_path: Path) -> None:
    run = Run(long_settings(write_ratings(tmp_path / "ratings.csv"), tmp_path), {"PREFECT_API_URL": prefect_server})
    run.come_to_its_long_training()
    running = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    [ours] = [
        one["id"]
        for one in httpx.post(f"{prefect_server}/flow_runs/filter", json=running, timeout=60).json()
        if one["parameters"]["settings"]["output"]["store"] == run.settings.output.store
    ]
    while (deleted := httpx.delete(f"{prefect_server}/flow_runs/{ours}", timeout=60)).status_code == 503:
        pass  # its database is busy
    deleted.raise_for_status()
    expect_unrecorded(run)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_server_that_another_one_replaces_during_the_run_takes_nothing_with_it(tmp_path: Path) -> None:
    ratings = write_ratings(tmp_path / "ratings.csv")
    homes = [tmp_path / "first", tmp_path / "second"]
    for home in homes:
        home.mkdir()
    server = PrefectServer(homes[0])
    other = PrefectServer(homes[1], port=server.port)
    interrupted, undisturbed = (long_settings(ratings, tmp_path / name) for name in ("interrupted", "undisturbed"))
    try:
        server.start()
        run = Run(interrupted, server.environment | PATIENT)
        run.come_to_its_long_training()
        server.kill()
        other.start()
        expect_unrecorded(run)
        assert other.ask("flow_runs/filter") == []
        again = Run(undisturbed, other.environment)
        assert again.ends() == 0, again.said()
        assert numbers(interrupted) == numbers(undisturbed)
    finally:
        server.kill()
        other.kill()
