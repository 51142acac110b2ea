"""The options of the command line, the YAML file of settings, and how the two are merged."""

import gc
import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import docstring_parser
import yaml
from cyclopts import App, CycloptsError, Group, Parameter
from pydantic import ValidationError

from flows.stdio import program_name
from flows.use import diff, export, predict, recommend, show
from recsys.config import EMPTY
from recsys.data.opening import open_ratings
from recsys.data.source import locate
from recsys.errors import BadSettings
from recsys.evaluation.metrics import described_metrics
from recsys.memory import without_collecting
from recsys.settings import Settings
from recsys.text import is_unicode

RUN = Group("Run", sort_key=9)

WORDS = ("yes", "no", "true", "false")
"""That turn a flag on and off."""

DOCSTRINGS = cache(docstring_parser.parse_from_object)
"""For the help, cyclopts reads the class of each section, and for each Pydantic's BaseModel: half of the time."""


def application() -> App:
    """Return the command line, made from the settings and the parameters of `run`."""
    docstring_parser.parse_from_object = DOCSTRINGS
    app = App(
        name=program_name(),
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
    for command in (predict, recommend, export, show, diff):
        app.command(command, help_epilogue="")
    return app


def with_words_for_flags(arguments: list[str]) -> list[str]:
    """Return the arguments with `--refit no` as `--refit=no`, as cyclopts wants it."""
    joined: list[str] = []
    for argument in arguments:
        if argument in WORDS and joined and joined[-1].startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def run(
    *,
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),
    config: Annotated[str | None, Parameter(group=RUN)] = None,
    replay: Annotated[str | None, Parameter(group=RUN)] = None,
    plan: Annotated[bool, Parameter(group=RUN)] = False,
    json: Annotated[bool, Parameter(group=RUN)] = False,
    strict: Annotated[bool, Parameter(group=RUN)] = False,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], group=RUN)] = False,
    without_server: Annotated[bool, Parameter(group=RUN)] = False,
) -> bool:
    """Compare matrix factorisation and deep networks, plain and tuned.

    Args:
        settings: see there.
        config: YAML file of settings; options on the command line take precedence.
        replay: manifest.json of a report: repeat that run, recomputing everything, and say whether the numbers are
            the same (exit code 1 if not).
        plan: show for each task whether its result is cached or has to be computed, why, and how many seconds and
            how much memory that and the whole run will take; run nothing.
        json: print the comparison as JSON, and nothing else, on standard output.
        strict: end with exit code 3 where a check of severity error fires that is not muted.
        verbose: show Prefect's log.
        without_server: do not look for a running Prefect server, not even the one that PREFECT_API_URL names; the
            run starts one of its own, which ends with it.
    """
    _check_working_directory()
    session_options = {"as_json": json, "strict": strict, "verbose": verbose, "without_server": without_server}
    if replay is not None:
        if other := "plan" if plan else "strict" if strict else "config" if config is not None else "":
            raise BadSettings(f"--replay cannot be combined with --{other}.")
        with without_collecting():
            from flows.replay import replay as run_again
        _ready()
        return run_again(replay, settings, **session_options)
    # merged even without a file, as only the merged settings are checked for consistency
    settings = merged(Settings() if config is None else from_yaml(config), settings)
    if not plan and not verbose:
        from flows.screen import console_for
        from flows.unchanged import show_unchanged

        console = console_for(as_json=json)
        if show_unchanged(console, settings, as_json=json, strict=strict, without_server=without_server):
            return True
    with open_ratings(locate(settings.data).ratings):
        pass  # a file that is missing is told before Prefect is imported, which takes seconds
    from flows.server import OwnServer, none_configured

    own = OwnServer() if not plan and (without_server or none_configured()) else None
    with own or nullcontext(), without_collecting():  # it starts meanwhile
        from flows.session import Session
    _ready()
    session = Session(settings, **session_options)
    if plan:
        session.explain()
        return True
    return session.compare(own)


def _ready() -> None:
    """Have Ctrl-C raise KeyboardInterrupt, now that everything is imported, and no collection visit what was."""
    gc.freeze()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _check_working_directory() -> None:
    try:
        here = os.getcwd()
    except FileNotFoundError as error:
        raise BadSettings("The working directory no longer exists: change to another one.") from error
    if not is_unicode(here):
        raise BadSettings(f"The name of the working directory is not UTF-8: rename {here!a}.")


def from_yaml(path: str) -> Settings:
    """Return the settings of a YAML file, which has the sections and names of `Settings`.

    Raises:
        BadSettings: the file cannot be read, or its content is not valid.
    """
    try:
        content = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
        return Settings.model_validate({} if content is None else content)
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"--config {path}: cannot be read ({getattr(error, 'strerror', error)}).") from error
    except yaml.YAMLError as error:
        raise BadSettings(f"--config {path}: is not YAML ({' '.join(str(error).split())}).") from error
    except ValidationError as error:
        raise BadSettings(f"--config {path}: {_explained(error, lambda field: '.'.join(map(str, field)))}") from error


def merged(base: Settings, given: Settings) -> Settings:
    """Return `base` with all values that were set explicitly in `given`; raise BadSettings if they are inconsistent."""

    def merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        return old | {key: merge(old[key], value) if isinstance(value, dict) else value for key, value in new.items()}

    try:
        return Settings.model_validate(merge(base.model_dump(), given.model_dump(exclude_unset=True)))
    except ValidationError as error:
        raise BadSettings(_explained(error, option)) from error


def option(field: tuple[int | str, ...]) -> str:
    """Return the option that sets a field of `Settings`, such as --test-size for ("split", "test_size").

    Fields of the settings of other commands are options of their own name.
    """
    names = [str(name).replace("_", "-") for name in field if isinstance(name, str)]
    section = Settings.model_fields.get(str(field[0])) if field else None
    flat = section is not None and any(isinstance(note, Parameter) and note.name == ("*",) for note in section.metadata)
    return "--" + ".".join(names[1:] if flat and len(names) > 1 else names)


def explained_option(error: CycloptsError) -> str:
    """Return one sentence that says which option cannot be used, and why."""
    if isinstance(error.__cause__, ValidationError):
        return _explained(error.__cause__, option)
    return f"{' '.join(str(error).split())} See --help."


def _explained(error: ValidationError, named: Callable[[tuple[int | str, ...]], str]) -> str:
    """Return one sentence for the first of Pydantic's errors; `named` gives the name of a field."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "value_error":
        return f"{message[0].upper()}{message[1:]}."
    if first["type"] == "extra_forbidden":
        return f"{named(first['loc'])} is not a setting; see --help."
    if first["type"] == "missing":
        return f"{named(first['loc'])} is missing; see --help."
    if first["type"] == EMPTY:
        return f"{named(first['loc'])} {message}."
    return f"{named(first['loc'])} {message}, not {first['input']!r}."
