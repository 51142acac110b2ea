"""The automations of deployments/automations.yaml, each created once and then kept up to date.

python -m deployments.automations --notify slack-webhook/team
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import yaml
from cyclopts import run
from prefect.client.orchestration import get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound

from flows.stdio import user_errors_reported
from recsys.errors import BadSettings

AUTOMATIONS = Path(__file__).with_name("automations.yaml")

PLACEHOLDER = UUID(int=0)
"""Stands in the file for the id of the notification block."""


def main(*, file: Path = AUTOMATIONS, notify: str | None = None) -> None:
    """Create Prefect's automations, or update those that exist.

    Args:
        file: YAML file of the automations.
        notify: type and name of the notification block that crashes are sent to, such as slack-webhook/team; without
            it, the automations that send notifications are left out.
    """
    with user_errors_reported("automations"):
        print(*set_up(file, notify), sep="\n")


def set_up(path: Path, notify: str | None) -> list[str]:
    """Create the automations of a file, or update those of the same name; return their names.

    Without `notify`, the type and name of a notification block, the automations that send notifications are left out.

    Raises:
        BadSettings: there is no such block.
    """
    block = block_id(notify) if notify else None
    wanted = [
        automation
        for automation in automations(path, block or PLACEHOLDER)
        if block or not any(isinstance(action, SendNotification) for action in automation.actions)
    ]
    with get_client(sync_client=True) as client:
        for automation in wanted:
            if existing := client.read_automations_by_name(automation.name):
                enabled = {"enabled": existing[0].enabled}  # stays as it was set in the UI
                client.update_automation(existing[0].id, automation.model_copy(update=enabled))
            else:
                client.create_automation(automation)
    return [automation.name for automation in wanted]


def automations(path: Path, block: UUID = PLACEHOLDER) -> Iterator[AutomationCore]:
    """Yield the automations of a YAML file, with the id of the notification block in place of the placeholder."""
    for document in yaml.safe_load(path.read_text(encoding="utf-8"))["automations"]:
        automation = AutomationCore.model_validate(document)
        for action in automation.actions:
            if isinstance(action, SendNotification) and action.block_document_id == PLACEHOLDER:
                action.block_document_id = block
        yield automation


def block_id(notify: str) -> UUID:
    """Return the id of a block, given its type and name, or raise BadSettings if there is none."""
    kind, _, name = notify.partition("/")
    with get_client(sync_client=True) as client:
        try:
            return client.read_block_document_by_name(name=name, block_type_slug=kind).id
        except ObjectNotFound as error:
            raise BadSettings(
                f"There is no block {notify}: make one in the UI, under Blocks, or choose another --notify."
            ) from error


if __name__ == "__main__":
    run(main)
