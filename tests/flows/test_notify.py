"""Who is told of failures and of a verdict that changed: blocks that call a server of the test's own."""

import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prefect import flow
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
from pydantic import ValidationError

from recsys.errors import BadRatings
from recsys.settings import OutputSettings, Settings
from recsys.store.run_history import PastRun, PastScore, Side, append
from recsys.store.store import Store
from tests.factories import small_settings, write_ratings

BEGUN = datetime(2026, 11, 1, tzinfo=UTC)


class Hook(HTTPServer):
    """A webhook that remembers what it was told, and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.told: list[dict[str, str]] = []
        self.status = 204


class Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hook(prefect_server: str) -> Iterator[Hook]:
    with Hook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        block = CustomWebhookNotificationBlock(
            name="nightly",
            url=f"http://127.0.0.1:{server.server_port}/secret-address",
            json_data={"subject": "{{subject}}", "text": "{{body}}"},
        )
        block.save("nightly", overwrite=True)
        yield server
        server.shutdown()


def past(days: int, side: Side, headline: str, series: str = "ratings") -> PastRun:
    return PastRun(
        when=BEGUN + timedelta(days=days),
        report="run",
        series=series,
        ratings="r",
        test="t",
        rating_min=1,
        rating_max=5,
        rating_mean=3,
        rating_sd=1,
        headline=headline,
        side=side,
        winner=None,
        scores=(PastScore(name="mf", title="MF", kind="model", mse=0.8),),
        **dict.fromkeys(("rows", "users", "items", "test_rows", "cold_test_rows"), 10),
    )


def tell(settings: Settings) -> None:
    from flows.notify import notify_changed_verdict

    @flow(name="tells")
    def tells() -> None:
        notify_changed_verdict(settings, "reports/run")

    tells()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return small_settings(tmp_path / "ratings.csv", tmp_path, output={"notify": ["custom-webhook/nightly"]})


def test_a_run_that_fails_is_told_with_its_reason(hook: Hook, settings: Settings, tmp_path: Path) -> None:
    from flows.compare import compare

    ratings = write_ratings(tmp_path / "ratings.csv")
    ratings.write_text(ratings.read_text() + "3,4,good\n")
    with pytest.raises(BadRatings):
        compare(settings)
    [told] = hook.told
    assert told["subject"] == "compare ratings.csv · fair · seed 42 failed"
    assert "ratings.csv, line 402: rating 'good' is not a number" in told["text"]


def test_a_run_that_its_user_stopped_is_not_told(
    hook: Hook, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.compare import compare
    from tasks.progress import STOP, Stopped

    write_ratings(tmp_path / "ratings.csv")
    monkeypatch.setattr("tasks.progress.LISTENERS", [lambda event: STOP.set()])
    try:
        with pytest.raises(Stopped):
            compare(settings)
    finally:
        STOP.clear()
    assert hook.told == []


def test_a_verdict_that_changed_is_told(hook: Hook, settings: Settings, tmp_path: Path) -> None:
    append(Store(tmp_path / "store"), past(0, "factorisation", "MF wins"))
    append(Store(tmp_path / "store"), past(1, "tie", "nobody wins", series="other ratings"))
    append(Store(tmp_path / "store"), past(2, "network", "the network wins"))
    tell(settings)
    [told] = hook.told
    assert told["subject"].endswith("the verdict has changed")
    assert "“MF wins”" in told["text"]
    assert "“the network wins”" in told["text"]
    assert "reports/run/report.html" in told["text"]


@pytest.mark.parametrize("sides", [["network"], ["network", "network"]], ids=["first", "same"])
def test_a_verdict_that_did_not_change_is_not_told(
    hook: Hook, settings: Settings, tmp_path: Path, sides: list[Side]
) -> None:
    append(Store(tmp_path / "store"), past(0, "tie", "nobody wins", series="other ratings"))
    for day, side in enumerate(sides, start=1):
        append(Store(tmp_path / "store"), past(day, side, f"headline {day}"))
    tell(settings)
    assert hook.told == []


def test_a_block_that_cannot_be_told_is_said_in_the_log_without_its_address(
    hook: Hook, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hook.status = 500
    append(Store(tmp_path / "store"), past(0, "factorisation", "MF wins"))
    append(Store(tmp_path / "store"), past(1, "network", "the network wins"))
    with _heard(caplog):
        tell(settings)
    assert "Block custom-webhook/nightly could not send" in caplog.text
    assert "the answer was 500" in caplog.text
    assert "secret-address" not in caplog.text


def test_blocks_that_are_no_use_are_named_before_they_are_needed(
    prefect_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    from flows.notify import check_blocks

    Secret(value="x").save("no-notification", overwrite=True)

    @flow(name="checks")
    def checks() -> None:
        check_blocks(["slack-webhook/nobody", "secret/no-notification"])

    with _heard(caplog):
        checks()
    assert "Block slack-webhook/nobody cannot be used for notifications: there is no such block" in caplog.text
    assert "secret/no-notification cannot be used for notifications: it is not a notification block" in caplog.text


def test_a_block_without_type_or_name_is_refused() -> None:
    with pytest.raises(ValidationError, match="notify 'team' names no block: give its type and name"):
        OutputSettings.model_validate({"notify": ["team"]})


class _heard:  # noqa: N801 - reads as a word where it is used
    """Has Prefect's log of flow runs, which goes to no other logger, heard by pytest."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.handler = caplog.handler

    def __enter__(self) -> None:
        logging.getLogger("prefect.flow_runs").addHandler(self.handler)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("prefect.flow_runs").removeHandler(self.handler)
