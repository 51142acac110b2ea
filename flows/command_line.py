"""The process of the command line, `mf-or-dnn` or `python flows/compare.py`: interrupts, messages and exit codes."""

import atexit
import os
import sys
import threading
from typing import NoReturn

from flows.stdio import fail, handle_early_interrupt, output_error, prepare_streams, print_error
from recsys.errors import ChecksFailed, DamagedArtefact, ServerLost, UserError

STOPPED = "stopped; every finished task is kept, and the same command goes on from there."


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 for success, 1 if a model failed, 2 for an error that the user can put right.

    3 is for a finished comparison that --strict does not accept.
    """
    handle_early_interrupt()
    prepare_streams()

    from cyclopts import CycloptsError  # these imports take seconds and open files

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


def _exit() -> NoReturn:
    """Exit regularly, but without the two seconds that unloading TensorFlow takes."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
