"""The process of the command line, `mf-or-dnn` or `python flows/compare.py`: interrupts, messages and exit codes."""

import atexit
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from flows.stdio import fail, handle_early_interrupt, output_error, prepare_streams, print_error
from recsys.errors import ChecksFailed, DamagedArtefact, ServerLost, UserError
from recsys.memory import without_collecting

STOPPED = "stopped; every finished task is kept, and the same command goes on from there."


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 for success, 1 if a model failed, 2 for an error that the user can put right.

    3 is for a finished comparison that --strict does not accept.
    """
    handle_early_interrupt()
    prepare_streams()
    _require_own_environment()

    with without_collecting():  # these imports take seconds and open files
        from cyclopts import CycloptsError

        from flows.options import application, explained_option, with_words_for_flags

    try:
        given = with_words_for_flags(sys.argv[1:] if arguments is None else arguments)
        succeeded = application()(given, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        fail(explained_option(error), 2)
    except ServerLost as error:
        print_error(str(error))
        sys.stdout.flush()
        os._exit(2)  # a regular exit would wait minutes for Prefect to give up sending logs and events to the server
    except UserError as error:
        fail(str(error), 2)
    except DamagedArtefact as damage:
        fail(f"{damage}: repeat the command, which computes what is lost again.", 2)
    except ChecksFailed as failed:
        fail(str(failed), 3)
    except KeyboardInterrupt:
        fail(STOPPED, 130)
    if problem := output_error():
        fail(problem, 2)
    if succeeded is False:  # None after --help
        sys.exit(1)
    _exit()


def _require_own_environment() -> None:
    """End with one sentence if the script lies in a copied environment, as it runs the code of the original's."""
    with suppress(FileNotFoundError):  # the working directory is gone, which is told later
        script = Path(sys.argv[0]).resolve()
        environment = script.parent.parent
        if (environment / "pyvenv.cfg").is_file() and not environment.samefile(sys.prefix):
            fail(f"{script} was copied from {sys.prefix} and runs the code there: call make compare in its folder.", 2)


def _exit() -> NoReturn:
    """Exit regularly, but without the two seconds that unloading TensorFlow takes."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
