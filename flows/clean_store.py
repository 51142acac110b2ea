"""Removing from a store what no run has used for a while: `python -m flows.clean_store --older-than 30d`."""

import re
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from flows.stdio import prepare_streams, user_errors_reported
from recsys.errors import BadSettings
from recsys.settings import OutputSettings
from recsys.store.prune import prune
from recsys.store.store import Store

SECONDS = {"d": 86_400, "w": 7 * 86_400}


def clean(
    *, older_than: str, store: str = OutputSettings().store, dry_run: Annotated[bool, Parameter(negative=())] = False
) -> None:
    """Remove results and unfinished trainings that no run has used for a while; reports and history stay.

    What was removed is computed again by the next run that needs it. This is safe while other runs use the store.

    Args:
        older_than: remove what was last used longer ago than this, in days or weeks: 30d, 8w. At least one day.
        store: folder of the store; if it has a URL, only this machine's working copy is cleaned.
        dry_run: remove nothing, say what would be removed.
    """
    match = re.fullmatch(r"(\d{1,6})([dw])", older_than.strip())
    if match is None:
        raise BadSettings(f"--older-than {older_than} is not a time: give days or weeks, such as 30d or 8w.")
    opened = Store(store)
    try:
        pruned = prune(opened.root, int(match[1]) * SECONDS[match[2]], only_count=dry_run)
    except OSError as error:
        why = f"{error.strerror}: {error.filename}"
        raise BadSettings(f"{opened.root} cannot be cleaned completely ({why}).") from error
    busy = f"; {pruned.busy} more are in use and stay" if pruned.busy else ""
    print(
        f"{'Would remove' if dry_run else 'Removed'} {pruned.artefacts} results and {pruned.checkpoints} unfinished "
        f"trainings, {pruned.bytes / 1e6:.1f} MB, from {opened.root}{busy}."
    )
    if opened.shared:
        print(f"That is this machine's working copy; {opened.shared.remote.url} keeps everything.")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, and exit with code 2 for an error that the user can put right."""
    app = App(name="clean-store", help_format="plaintext", version_flags=[])
    app.default(clean)
    with user_errors_reported("clean-store", CycloptsError):
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")


if __name__ == "__main__":
    prepare_streams()
    main()
