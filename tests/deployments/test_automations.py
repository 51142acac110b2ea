"""The automations, on a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client

from deployments.automations import AUTOMATIONS, PLACEHOLDER, automations, set_up
from recsys.errors import BadSettings


def there() -> dict[str, list[object]]:
    with get_client(sync_client=True) as client:
        return {
            automation.name: [getattr(action, "block_document_id", None) for action in automation.actions]
            for automation in client.read_automations()
        }


@pytest.fixture
def none_stays(prefect_server: str) -> Iterator[None]:
    """Delete the automations afterwards, as they would crash runs of other tests."""
    yield
    with get_client(sync_client=True) as client:
        for automation in client.read_automations():
            client.delete_automation(automation.id)


@pytest.mark.usefixtures("none_stays")
def test_each_is_created_once_and_tells_the_block_that_is_named() -> None:
    block = CustomWebhookNotificationBlock(name="nightly", url="http://127.0.0.1:1/hook")
    block.save("for-automations")
    assert set_up(AUTOMATIONS, None) == ["Crash runs without a heartbeat", "Crash runs that do not begin"]
    names = set_up(AUTOMATIONS, "custom-webhook/for-automations")
    assert set_up(AUTOMATIONS, "custom-webhook/for-automations") == names
    created = there()
    assert list(created) == sorted(names)
    told = [block for blocks in created.values() for block in blocks if block]
    assert told == [block._block_document_id] * 2
    assert PLACEHOLDER not in told


def test_a_block_that_is_not_there_is_a_sentence(prefect_server: str) -> None:
    with pytest.raises(BadSettings, match="There is no block slack-webhook/nobody"):
        set_up(AUTOMATIONS, "slack-webhook/nobody")


def test_a_run_is_given_up_after_three_heartbeats_and_not_before() -> None:
    from prefect.settings import get_current_settings

    first = next(automations(Path(AUTOMATIONS)))
    beat = get_current_settings().flows.heartbeat_frequency
    assert beat is not None
    assert first.trigger.within.total_seconds() == 3 * beat  # type: ignore[union-attr]
