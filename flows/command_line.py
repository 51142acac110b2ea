"""The command line: `python flows/compare.py`."""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import yaml
from cyclopts import App, CycloptsError, Group, Parameter
from pydantic import ValidationError

from flows.stdio import unwritten
from recsys.errors import BadSettings, DamagedArtefact, ServerLost, UserError
from recsys.evaluation.metrics import described_metrics
from recsys.settings import Settings
from recsys.text import escaped, is_unicode

STANDARD_ERROR = os.dup(2)
"""Where standard error goes even while TensorFlow is being loaded, which must not write there."""

STOPPED = "stopped; every finished task is kept, and the same command goes on from there."

RUN = Group("Run", sort_key=9)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 when all is well, 1 when a model failed, 2 when the user can mend it."""
    app = App(
        name="compare",
        help="Does a deep network really predict your ratings better than matrix factorisation? "
        "Without options: the embedded sample, 100,000 ratings of MovieLens.",
        help_epilogue=described_metrics(),
        help_flags=["--help", "-h"],
        version_flags=[],
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(negative=()),
    )
    app.default(run)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        well = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        fail(_sentence(error), 2)
    except ServerLost as error:
        say(str(error))
        sys.stdout.flush()
        os._exit(2)  # in order, it would take minutes of Prefect's trying to tell the server what is left to tell
    except UserError as error:
        fail(str(error), 2)
    except DamagedArtefact as damage:
        fail(f"{damage}: repeat the command, which makes anew what is lost.", 2)
    except KeyboardInterrupt:
        fail(STOPPED, 130)
    if cut := unwritten():
        fail(cut, 2)
    if well is False:  # there is no answer where only help was asked for
        sys.exit(1)
    _leave()


def _leave() -> NoReturn:
    """End the process in order, but without the two seconds that it takes to take TensorFlow apart."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def run(
    *,
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),
    config: Annotated[str | None, Parameter(group=RUN)] = None,
    replay: Annotated[str | None, Parameter(group=RUN)] = None,
    plan: Annotated[bool, Parameter(group=RUN)] = False,
    json: Annotated[bool, Parameter(group=RUN)] = False,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], group=RUN)] = False,
    without_server: Annotated[bool, Parameter(group=RUN)] = False,
) -> bool:
    """Compare matrix factorisation and deep networks, plain and tuned.

    Args:
        settings: see there.
        config: YAML file of settings; options on the command line win over it.
        replay: manifest.json of a report: run that run again, recomputing everything, and say whether the numbers
            are the same (exit code 1 if not).
        plan: say for each task whether its result is cached or has to be computed, and why; run nothing.
        json: print the comparison as JSON, and nothing else, on standard output.
        verbose: show Prefect's log.
        without_server: do not look for a running Prefect server, not even for the one that PREFECT_API_URL names;
            the run starts one for itself, which ends with it.
    """
    _check_folder()
    from flows.session import Session

    if replay is not None:
        if config is not None or plan:
            raise BadSettings(f"--replay cannot be combined with --{'plan' if plan else 'config'}.")
        from flows.replay import replay as run_again

        return run_again(replay, settings, as_json=json, verbose=verbose, without_server=without_server)
    # without a file as well: only the merged settings are sure to go together
    settings = merged(from_yaml(config) if config else Settings(), settings)
    session = Session(settings, as_json=json, verbose=verbose, without_server=without_server)
    if plan:
        session.explain()
        return True
    return session.compare()


def _check_folder() -> None:
    """Look whether the folder that relative paths start from can be used.

    Raises:
        BadSettings: it cannot.
    """
    try:
        here = os.getcwd()
    except FileNotFoundError as error:
        raise BadSettings("The folder that this is called in does not exist any more: call it in another.") from error
    if not is_unicode(here):
        raise BadSettings(f"The name of the folder that this is called in is not UTF-8: rename {here!a}.")


def from_yaml(path: str) -> Settings:
    """Return the settings of a YAML file, which has the sections and names of `Settings`.

    Raises:
        BadSettings: the file cannot be read, or holds something else.
    """
    try:
        content = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
        return Settings.model_validate({} if content is None else content)
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"--config {path}: cannot be read ({getattr(error, 'strerror', error)}).") from error
    except yaml.YAMLError as error:
        raise BadSettings(f"--config {path}: is not YAML ({' '.join(str(error).split())}).") from error
    except ValidationError as error:
        raise BadSettings(f"--config {path}: {explained(error, lambda place: '.'.join(map(str, place)))}") from error


def merged(base: Settings, given: Settings) -> Settings:
    """Return `base` with whatever was set explicitly in `given`.

    Raises:
        BadSettings: the two do not go together.
    """

    def merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        return old | {
            name: merge(old[name], value) if isinstance(value, dict) else value for name, value in new.items()
        }

    try:
        return Settings.model_validate(merge(base.model_dump(), given.model_dump(exclude_unset=True)))
    except ValidationError as error:
        raise BadSettings(explained(error, option)) from error


def option(place: tuple[int | str, ...]) -> str:
    """Return the option that sets a field of `Settings`, such as --test-size for ("split", "test_size")."""
    names = [str(name).replace("_", "-") for name in place if isinstance(name, str)]
    section = Settings.model_fields[str(place[0])] if place else None
    flat = section is not None and any(isinstance(note, Parameter) and note.name == ("*",) for note in section.metadata)
    return "--" + ".".join(names[1:] if flat and len(names) > 1 else names)


def explained(error: ValidationError, named: Callable[[tuple[int | str, ...]], str]) -> str:
    """Return one sentence for the first complaint of Pydantic."""
    complaint = error.errors()[0]
    message = complaint["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if complaint["type"] == "value_error":
        return f"{message[0].upper()}{message[1:]}."
    if complaint["type"] == "extra_forbidden":
        return f"{named(complaint['loc'])} is no setting; see --help."
    return f"{named(complaint['loc'])} {message}, not {complaint['input']!r}."


def _sentence(error: CycloptsError) -> str:
    if isinstance(error.__cause__, ValidationError):
        return explained(error.__cause__, option)
    return f"{' '.join(str(error).split())} See --help."


def say(sentence: str) -> None:
    """Print one sentence on standard error."""
    with suppress(OSError):  # whoever has closed it does not want to know
        os.write(STANDARD_ERROR, f"compare: {escaped(sentence)}\n".encode())


def fail(sentence: str, code: int) -> NoReturn:
    """Print one sentence on standard error and exit."""
    say(sentence)
    sys.exit(code)
