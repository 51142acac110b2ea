"""Task `download`: a public data set is brought to this computer."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from recsys.data.sources import locate
from recsys.settings import DataSettings
from tasks.progress import TaskProgress
from tasks.retrying import RETRYING


@task(
    name="download",
    task_run_name="download {data.dataset}",
    cache_policy=NO_CACHE,
    persist_result=False,
    **RETRYING,
)
def download(data: DataSettings) -> None:
    """Have a public data set on this computer; one that is there is not fetched again.

    Args:
        data: which one, and in which folder downloads are kept.

    Raises:
        DatasetUnavailable: it is not to be had.
    """
    locate(data, TaskProgress("download"))
