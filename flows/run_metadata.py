"""How a run begins for whoever watches it: its tags and the first lines of its log."""

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from flows.notify import check_blocks
from recsys.data.source import Source
from recsys.settings import Settings


def introduce(settings: Settings, source: Source) -> None:
    """Say in the log what is compared, and tag the flow run with its data set and its protocol."""
    log = get_run_logger()
    seeds, budget = len(settings.seeds), settings.tuning.budget
    how = f"protocol {settings.protocol}, {seeds} seed{'s' if seeds > 1 else ''} from {settings.seed}"
    if settings.protocol == "fair":
        how += f", budget {budget:g}"
    log.info("%s: %s; store %s", source.label, how, settings.output.store)
    if source.licence:
        log.info(source.licence)
    check_blocks(settings.output.notify)
    _tag(source.name, settings.protocol)


def _tag(*tags: str) -> None:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    run = context.flow_run
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(run.id, tags=sorted({*run.tags, *tags}))
    except Exception as error:  # a run without tags is a run
        get_run_logger().warning("The run could not be tagged: %s", error)
