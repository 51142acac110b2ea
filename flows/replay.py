"""A run that is on record is run again: `python flows/compare.py --replay reports/x/manifest.json`."""

import re
from pathlib import Path

from flows.command_line import merged, option
from flows.session import Session
from flows.terminal import plain
from recsys.data.dialect import open_ratings
from recsys.data.source import Source, locate
from recsys.errors import BadSettings
from recsys.report.manifest import RunManifest, read_manifest, this_environment
from recsys.report.replay import agreement, changes_since, check_ratings
from recsys.settings import OutputSettings, Settings

MANIFEST = "manifest.json"

CHANGES_NO_NUMBER = {("output",), ("scaling",), ("refresh",), ("data", "downloads"), ("data", "ratings")}
"""Settings that may be given beside --replay; the ratings' digest is checked, wherever they lie."""


def replay(
    manifest: str, given: Settings, *, as_json: bool = False, verbose: bool = False, without_server: bool = False
) -> bool:
    """Run a recorded run again, everything computed anew, and say whether its numbers are the same.

    Args:
        manifest: path of the manifest.json of a report.
        given: what was set on the command line beside it.
        as_json: keep standard output for the comparison as JSON.
        verbose: show Prefect's log.
        without_server: look for no Prefect server that is running.

    Raises:
        UserError: there is no such run, it cannot be repeated on these ratings, or an option does not go with it.
    """
    path = Path(manifest).expanduser().absolute()
    _refuse_other_settings(given)
    recorded = read_manifest(path)
    settings = merged(recorded.settings, given)
    source = locate(settings.data)
    with open_ratings(source.ratings):
        check_ratings(recorded, source.ratings)
    settings = settings.model_copy(
        update={"refresh": True, "output": _output(settings.output, path.resolve(), recorded, source)}
    )
    again = Path(settings.output.reports).expanduser().absolute() / str(settings.output.name) / MANIFEST
    if again.resolve() == path.resolve():
        raise BadSettings(f"The report of the run that is repeated is {again.parent}: choose another --name.")

    session = Session(settings, as_json=as_json, verbose=verbose, without_server=without_server)
    session.console.print(plain(changes_since(recorded, this_environment())), soft_wrap=True)
    session.compare()
    found = agreement(recorded, read_manifest(again))
    for sentence in found.sentences:
        session.console.print(plain(sentence), style="bold", soft_wrap=True)
    return found.same


def _refuse_other_settings(given: Settings) -> None:
    for section, value in given.model_dump(exclude_unset=True).items():
        places = [(section, name) for name in value] if isinstance(value, dict) else [(section,)]
        for place in places:
            if not {place, place[:1]} & CHANGES_NO_NUMBER:
                raise BadSettings(
                    f"{option(place)} cannot be given with --replay, which takes the settings of the recorded run."
                )


def _output(output: OutputSettings, manifest: Path, recorded: RunManifest, source: Source) -> OutputSettings:
    """Where the repeated run goes: to the name of the first with "-replay", unless there is another name."""
    if output.name:
        return output
    name = manifest.parent.name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        name = f"{source.name}-{recorded.settings.protocol}"
    return output.model_copy(update={"name": f"{name[:90]}-replay"})
