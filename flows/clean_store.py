"""Removing from a store what no run has used for a while: `python -m flows.clean_store --older-than 30d`."""

import re
import sys
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from flows.stdio import prepare_streams, unwritten
from recsys.errors import BadSettings, UserError
from recsys.settings import OutputSettings
from recsys.store.prune import Pruned, prune
from recsys.store.store import Store
from recsys.text import escaped

SECONDS = {"d": 86_400, "w": 7 * 86_400}


def clean(
    *,
    older_than: str,
    store: str = OutputSettings().store,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Remove results and unfinished trainings that no run has used for a while; reports and history stay.

    What was removed is computed anew by the next run that needs it. Beside runs this is safe.

    Args:
        older_than: how long nobody has used what is removed, in days or weeks: 30d, 8w. A day at least.
        store: folder of the store; of a store with a URL, only this machine's working copy is cleaned.
        dry_run: remove nothing, say what would be removed.
    """
    opened = Store(store)
    try:
        pruned = prune(opened.root, _seconds(older_than), only_count=dry_run)
    except OSError as error:
        raise BadSettings(
            f"{opened.root} cannot be cleaned to its end ({error.strerror}: {error.filename})."
        ) from error
    print(_told(pruned, "Would remove" if dry_run else "Removed", str(opened.root)))
    if opened.shared:
        print(f"That is this machine's working copy; {opened.shared.remote.url} keeps everything.")


def _seconds(words: str) -> float:
    match = re.fullmatch(r"(\d{1,6})([dw])", words.strip())
    if match is None:
        raise BadSettings(f"--older-than {words} is no time: say it in days or weeks, such as 30d or 8w.")
    return int(match[1]) * SECONDS[match[2]]


def _told(pruned: Pruned, done: str, place: str) -> str:
    busy = f"; {pruned.busy} more are being made and stay" if pruned.busy else ""
    what = f"{pruned.artefacts} results and {pruned.checkpoints} unfinished trainings, {pruned.bytes / 1e6:.1f} MB"
    return f"{done} {what}, from {place}{busy}."


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, and exit with code 2 where the user can mend what is wrong."""
    app = App(name="clean-store", help_format="plaintext", version_flags=[])
    app.default(clean)
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, UserError) as error:
        print(f"clean-store: {escaped(' '.join(str(error).split()))}", file=sys.stderr)
        sys.exit(2)
    if cut := unwritten():
        print(f"clean-store: {cut}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    prepare_streams()
    main()
