"""The automations of deployments/automations.yaml, each created once and then kept up to date.

python -m deployments.automations --notify slack-webhook/team
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import yaml
from cyclopts import run
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound

from recsys.errors import BadSettings, UserError

AUTOMATIONS = Path(__file__).with_name("automations.yaml")

SOME_BLOCK = UUID(int=0)
"""What stands in the file for the block that is told."""


def set_up(path: Path, notify: str | None) -> list[str]:
    """Create the automations of a file, or update those that there are already, by name; return their names.

    Args:
        path: of the YAML file.
        notify: type and name of the notification block that is told; None leaves out what tells somebody.

    Raises:
        BadSettings: there is no such block.
    """
    block = block_id(notify) if notify else None
    wanted = [automation for automation in automations(path) if block or not _tells(automation)]
    with get_client(sync_client=True) as client:
        for automation in wanted:
            _put(client, _telling(automation, block))
    return [automation.name for automation in wanted]


def automations(path: Path) -> Iterator[AutomationCore]:
    """Yield the automations of a YAML file."""
    for automation in yaml.safe_load(path.read_text(encoding="utf-8"))["automations"]:
        yield AutomationCore.model_validate(automation)


def block_id(notify: str) -> UUID:
    """Return the id of a block of this type and name.

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


def _put(client: SyncPrefectClient, automation: AutomationCore) -> None:
    there = client.read_automations_by_name(automation.name)
    if there:
        # whether it is switched on is left as it was set in the UI
        client.update_automation(there[0].id, automation.model_copy(update={"enabled": there[0].enabled}))
    else:
        client.create_automation(automation)


def _tells(automation: AutomationCore) -> bool:
    return any(isinstance(action, SendNotification) for action in automation.actions)


def _telling(automation: AutomationCore, block: UUID | None) -> AutomationCore:
    actions = [
        action.model_copy(update={"block_document_id": block})
        if isinstance(action, SendNotification) and action.block_document_id == SOME_BLOCK
        else action
        for action in automation.actions
    ]
    return automation.model_copy(update={"actions": actions})


def main(*, file: Path = AUTOMATIONS, notify: str | None = None) -> None:
    """Create Prefect's automations, or update those that are there.

    Args:
        file: YAML file of the automations.
        notify: type and name of the notification block that is told of crashes, such as slack-webhook/team; without
            it, the automations that tell somebody are left out.
    """
    try:
        names = set_up(file, notify)
    except UserError as error:
        print(f"automations: {error}", file=sys.stderr)
        sys.exit(2)
    print(*names, sep="\n")


if __name__ == "__main__":
    run(main)
