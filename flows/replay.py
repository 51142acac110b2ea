"""Repeating a recorded run: `python flows/compare.py --replay reports/x/manifest.json`."""

import re
from pathlib import Path

from flows.options import merged, option
from flows.screen import plain
from flows.session import Session
from recsys.data.opening import open_ratings
from recsys.data.source import Source, locate
from recsys.errors import BadSettings, RunUnrecorded
from recsys.report.manifest import RunManifest, read_manifest, this_environment
from recsys.report.replay import agreement, changes_since, check_ratings
from recsys.settings import OutputSettings, Settings

MANIFEST = "manifest.json"

RESULT_NEUTRAL = {("output",), ("scaling",), ("refresh",), ("data", "downloads"), ("data", "ratings")}
"""Settings that may be given with --replay, as they change no number; the digest of the ratings is checked."""


def replay(manifest: str, given: Settings, **session_options: bool) -> bool:
    """Repeat a recorded run, recomputing everything, and return whether its numbers are the same.

    `manifest` is the path of a report's manifest.json, `given` are further settings of the command line.

    Raises:
        UserError: there is no such run, the ratings are not the same, or an option cannot be used with --replay.
        RunUnrecorded: all was done and said, and Prefect's server could not be told.
    """
    path = Path(manifest).expanduser().absolute()
    for section, value in given.model_dump(exclude_unset=True).items():
        for field in [(section, name) for name in value] if isinstance(value, dict) else [(section,)]:
            if not {field, field[:1]} & RESULT_NEUTRAL:
                raise BadSettings(
                    f"{option(field)} cannot be given with --replay, which takes the settings of the recorded run."
                )
    recorded = read_manifest(path)
    settings = merged(recorded.settings, given)
    source = locate(settings.data)
    with open_ratings(source.ratings):
        check_ratings(recorded, source.ratings)
    output = _output(settings.output, path.resolve(), recorded, source)
    settings = settings.model_copy(update={"refresh": True, "output": output})
    again = Path(settings.output.reports).expanduser().absolute() / str(settings.output.name) / MANIFEST
    if again.resolve() == path.resolve():
        raise BadSettings(f"{again.parent} is the report of the recorded run itself: choose another --name.")

    session = Session(settings, **session_options)
    session.console.print(plain(changes_since(recorded, this_environment())), soft_wrap=True)
    unrecorded = None
    try:
        session.compare()
    except RunUnrecorded as error:
        unrecorded = error
    found = agreement(recorded, read_manifest(again))
    for sentence in found.sentences:
        session.console.print(plain(sentence), style="bold", soft_wrap=True)
    if unrecorded:
        raise unrecorded
    return found.same


def _output(output: OutputSettings, manifest: Path, recorded: RunManifest, source: Source) -> OutputSettings:
    """The output settings of the repeated run: without a name, that of the recorded report and "-replay"."""
    if output.name:
        return output
    name = manifest.parent.name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        name = f"{source.name}-{recorded.settings.protocol}"
    return output.model_copy(update={"name": f"{name[:90]}-replay"})
