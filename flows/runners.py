"""Where the tasks run: in threads, in processes, or on a cluster of Dask or Ray; the numbers are the same."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from multiprocessing import resource_tracker
from typing import Any

from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from recsys.errors import BadSettings, WorkersUnavailable
from recsys.settings import ScalingSettings

INTEGRATIONS = {"dask": "prefect_dask", "ray": "prefect_ray"}
"""What Prefect needs for a cluster; the extras of this project have the same names."""

RAY_WITHOUT_ADDRESS = {"include_dashboard": False, "logging_level": "ERROR"}


@contextmanager
def started(settings: ScalingSettings) -> Iterator[TaskRunner[Any]]:
    """Have a task runner running; tasks are to be submitted by the thread that enters this.

    Ctrl-C reaches all processes of a terminal: workers would end in the middle of a word, and say so at length. So
    they leave it to the flow, which asks them to end: they have the signal mask of the thread that starts them.

    Raises:
        BadSettings: the package that the runner needs is not installed.
        WorkersUnavailable: the workers cannot be started, or the cluster does not answer.
    """
    runner = task_runner(settings)
    with ExitStack() as stack:
        if settings.elsewhere:
            stack.enter_context(_sparing_workers_ctrl_c())
        try:
            stack.enter_context(runner)
            if settings.runner == "dask":
                _ = runner.client  # type: ignore[attr-defined] # starts the cluster, or connects to it
        except Exception as error:  # Ray raises no kind in particular
            raise WorkersUnavailable(
                f"--runner {settings.runner}: no workers are to be had ({' '.join(str(error).split())})"
            ) from error
        yield runner


@contextmanager
def _sparing_workers_ctrl_c() -> Iterator[None]:
    resource_tracker.ensure_running()  # where it starts later, it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def task_runner(settings: ScalingSettings) -> TaskRunner[Any]:
    """Return what runs the tasks, not yet started.

    A cluster is looked for where its own tools look for it: at DASK_SCHEDULER_ADDRESS (or `scheduler-address` in
    Dask's configuration) or RAY_ADDRESS. Without one, a cluster of this machine is started for the run.

    Raises:
        BadSettings: the package that the runner needs is not installed.
    """
    check_installed(settings)
    workers = settings.workers or max(2, os.cpu_count() or 2)
    match settings.runner:
        case "threads":
            return ThreadPoolTaskRunner(max_workers=workers)
        case "processes":
            return ProcessPoolTaskRunner(max_workers=workers, initializer=end_with_the_run)
        case "dask":
            return _dask(workers)
        case "ray":
            return _ray(workers)


def check_installed(settings: ScalingSettings) -> None:
    """Raise BadSettings if the package that the runner needs is not installed."""
    package = INTEGRATIONS.get(settings.runner)
    if package and find_spec(package) is None:
        raise BadSettings(
            f"--runner {settings.runner} needs the package {package.replace('_', '-')}, which is not installed: "
            f"pip install '.[{settings.runner}]'"
        )


def end_with_the_run() -> None:
    """Have this worker process end when the run's process does, even if that is killed."""
    run = multiprocessing.parent_process()
    assert run is not None

    def wait() -> None:
        run.join()
        os._exit(1)

    threading.Thread(target=wait, name="end with the run", daemon=True).start()


def _dask(workers: int) -> TaskRunner[Any]:
    import dask.config
    import distributed  # noqa: F401 - makes Dask read its configuration
    from prefect_dask.task_runners import DaskTaskRunner

    address = dask.config.get("scheduler-address", None)
    local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    runner: TaskRunner[Any] = DaskTaskRunner(address=address, cluster_kwargs=None if address else local)
    return runner


def _ray(workers: int) -> TaskRunner[Any]:
    from prefect_ray.task_runners import RayTaskRunner

    quiet = {"log_to_driver": False}
    address = os.environ.get("RAY_ADDRESS")
    init = quiet if address else {"num_cpus": workers, **RAY_WITHOUT_ADDRESS, **quiet}
    runner: TaskRunner[Any] = RayTaskRunner(address=address, init_kwargs=init)
    return runner
