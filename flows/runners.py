"""Task runners: threads, processes, or a cluster of Dask or Ray; the numbers are the same on all."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from multiprocessing import resource_tracker
from types import MappingProxyType
from typing import Any

from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from recsys.errors import BadSettings, WorkersUnavailable
from recsys.settings import ScalingSettings, Settings

INTEGRATIONS = {"dask": "prefect_dask", "ray": "prefect_ray"}
"""Runner -> the package that Prefect needs for it; this project's extras are named after the runners."""

KEEPING_MEMORY = {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None}
"""Dask's configuration without its request that workers give freed memory back at once.

Each array would be made of new pages, which takes as long as what is computed with it. Tasks give back what they have
freed when they end.
"""

WIDEST = 256
"""Inputs of a layer up to which TensorFlow predicts even one rating with the same bits in any number of threads."""


def environment_of_workers(settings: Settings) -> dict[str, str]:
    """Return what workers are to have in their environment: one thread for TensorFlow, where no bit depends on it.

    Two trainings in one process keep its two threads busy; in two processes, the steps of each wait for a second thread
    while the other's runs.
    """
    inputs = [settings.dnn_tuned.dot_factors]
    for network in (settings.dnn, settings.dnn_tuned):
        inputs += [2 * network.embedding_size, *network.units]
    same_bits = settings.engine == "compiled" and max(inputs) <= WIDEST
    share_cores = 2 * parallel_tasks(settings.scaling) > (os.cpu_count() or 1)
    return {"TF_NUM_INTRAOP_THREADS": "1"} if same_bits and share_cores else {}


@contextmanager
def started(
    settings: ScalingSettings, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[TaskRunner[Any]]:
    """Start a task runner for the block; the thread that enters it must be the one that submits tasks.

    Worker processes that it starts have the `environment` beside that of the run.

    Ctrl-C reaches all processes of a terminal, and workers would end with long tracebacks. So SIGINT is blocked in the
    thread that starts them, whose signal mask they inherit, and the flow asks them to stop.

    Raises:
        BadSettings: the package that the runner needs is not installed.
        WorkersUnavailable: the workers cannot be started, or the cluster does not answer.
    """
    check_installed(settings)
    runner = _task_runner(settings, dict(environment))
    with ExitStack() as stack:
        if settings.elsewhere:
            resource_tracker.ensure_running()  # if it started later, it would unblock the signal
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        try:
            if settings.runner == "dask":
                import dask.config

                stack.enter_context(dask.config.set(KEEPING_MEMORY))
            stack.enter_context(runner)
            if settings.runner == "dask":
                _ = runner.client  # type: ignore[attr-defined] # starts the cluster, or connects to one
        except Exception as error:  # Ray raises exceptions of any type
            raise WorkersUnavailable(
                f"--runner {settings.runner}: the workers could not be started ({' '.join(str(error).split())})"
            ) from error
        yield runner


def _task_runner(settings: ScalingSettings, environment: dict[str, str]) -> TaskRunner[Any]:
    """A task runner, not yet started.

    The cluster is that of DASK_SCHEDULER_ADDRESS (or `scheduler-address` in Dask's configuration) or RAY_ADDRESS. If
    there is none, one is started on this machine for the run.
    """
    runner: TaskRunner[Any]
    workers = parallel_tasks(settings)
    match settings.runner:
        case "threads":
            runner = ThreadPoolTaskRunner(max_workers=workers)
        case "processes":
            runner = ProcessPoolTaskRunner(max_workers=workers, initializer=partial(begin_worker, environment))
        case "dask":
            import dask.config
            import distributed  # noqa: F401 - makes Dask read its configuration
            from prefect_dask.task_runners import DaskTaskRunner

            address = dask.config.get("scheduler-address", None)
            local = {"n_workers": workers, "threads_per_worker": 1, "env": environment}
            local["dashboard_address"] = "127.0.0.1:0"
            runner = DaskTaskRunner(address=address, cluster_kwargs=None if address else local)
        case "ray":
            from prefect_ray.task_runners import RayTaskRunner

            address = os.environ.get("RAY_ADDRESS")
            local = {"num_cpus": workers, "include_dashboard": False, "logging_level": "ERROR"}
            local["runtime_env"] = {"env_vars": environment}
            runner = RayTaskRunner(address=address, init_kwargs={**({} if address else local), "log_to_driver": False})
    return runner


def parallel_tasks(settings: ScalingSettings) -> int:
    """Return how many tasks run at the same time, on a cluster of this run's own."""
    return settings.workers or max(2, os.cpu_count() or 2)


def check_installed(settings: ScalingSettings) -> None:
    """Raise BadSettings if the package that the runner needs is not installed."""
    package = INTEGRATIONS.get(settings.runner)
    if package and find_spec(package) is None:
        raise BadSettings(
            f"--runner {settings.runner} needs the package {package.replace('_', '-')}, which is not installed: "
            f"pip install '.[{settings.runner}]'"
        )


def begin_worker(environment: Mapping[str, str]) -> None:
    """Add to this worker process's environment, and make it end when the run's process does, even if that is killed."""
    os.environ.update(environment)
    run = multiprocessing.parent_process()
    assert run is not None

    def wait() -> None:
        run.join()
        os._exit(1)

    threading.Thread(target=wait, name="end with the run", daemon=True).start()
