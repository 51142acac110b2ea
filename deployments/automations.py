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

    Args:
        path: of the YAML file.
        notify: type and name of the notification block; None leaves out the automations that send notifications.

    Raises:
        BadSettings: there is no such block.
    """
    block = block_id(notify) if notify else None
    wanted = [with_block(automation, block) for automation in automations(path) if block or not _notifies(automation)]
    with get_client(sync_client=True) as client:
        for automation in wanted:
            if existing := client.read_automations_by_name(automation.name):
                # whether it is enabled stays as it was set in the UI
                update = automation.model_copy(update={"enabled": existing[0].enabled})
                client.update_automation(existing[0].id, update)
            else:
                client.create_automation(automation)
    return [automation.name for automation in wanted]


def automations(path: Path) -> Iterator[AutomationCore]:
    """Yield the automations of a YAML file."""
    for automation in yaml.safe_load(path.read_text(encoding="utf-8"))["automations"]:
        yield AutomationCore.model_validate(automation)


def block_id(notify: str) -> UUID:
    """Return the id of a block, given its type and name.

    Raises:
        BadSettings: there is none.
    """
    kind, _, name = notify.partition("/")
    with get_client(sync_client=True) as client:
        try:
            return client.read_block_document_by_name(name=name, block_type_slug=kind).id
        except ObjectNotFound as error:
            raise BadSettings(
                f"There is no block {notify}: make one in the UI, under Blocks, or choose another --notify."
            ) from error


def with_block(automation: AutomationCore, block: UUID | None) -> AutomationCore:
    """Return an automation with the id of the notification block in place of the placeholder."""
    actions = [
        action.model_copy(update={"block_document_id": block})
        if isinstance(action, SendNotification) and action.block_document_id == PLACEHOLDER
        else action
        for action in automation.actions
    ]
    return automation.model_copy(update={"actions": actions})


def _notifies(automation: AutomationCore) -> bool:
    return any(isinstance(action, SendNotification) for action in automation.actions)


if __name__ == "__main__":
    run(main)
