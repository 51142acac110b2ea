"""What `deployments/prefect.yaml` declares, checked without a server."""

import re
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

from deployments.config import FILE, ROOT, Deployment, deployments
from deployments.machine import served

RAW: dict[str, Any] = yaml.safe_load(FILE.read_text())

every_deployment = pytest.mark.parametrize("deployment", deployments(), ids=lambda one: one.name)


def flow_of(deployment: Deployment) -> Flow[Any, Any]:
    return load_flow_from_entrypoint(str(ROOT / deployment.entrypoint))


@every_deployment
def test_its_flow_is_where_it_says(deployment: Deployment) -> None:
    assert f"{flow_of(deployment).name}/{deployment.name}" == deployment.full_name


@every_deployment
def test_its_parameters_make_sense(deployment: Deployment) -> None:
    flow_of(deployment).validate_parameters(deployment.parameters)
    schema = parameter_schema(flow_of(deployment)).model_dump_for_openapi()
    assert validate(deployment.parameters, schema, raise_on_error=True) == []
    settings = deployment.settings
    assert settings is None or settings.scaling.time_limit, "a run that nobody watches must not train for ever"


@every_deployment
def test_its_schedules_are_dates_in_a_time_zone(deployment: Deployment) -> None:
    made = served(deployment).schedules or []
    assert len(made) == len(deployment.schedules)
    for schedule, words in zip(made, deployment.schedules, strict=True):
        assert isinstance(schedule.schedule, CronSchedule | IntervalSchedule)
        assert schedule.schedule.timezone == words["timezone"]
        assert schedule.active is words["active"]
        assert schedule.slug == words["slug"]


def test_when_each_of_them_runs() -> None:
    assert {one.name: one.when for one in deployments()} == {
        "compare-nightly": "cron 0 3 * * * Europe/Berlin",
        "compare-weekly-full": "cron 0 20 * * 5 Europe/Berlin (off)",
        "compare-on-demand": "when somebody starts it",
        "compare-new-ratings": "every 15 minutes UTC",
        "recommend-nightly": "cron 30 3 * * * Europe/Berlin",
        "predict-on-demand": "when somebody starts it",
        "recommend-on-demand": "when somebody starts it",
    }


def test_all_share_one_store_one_limit_and_one_pool() -> None:
    assert len({one.store_limit for one in deployments()}) == 1
    assert {one.concurrency_limit["limit"] for one in deployments()} == {1}
    assert len({one.pool for one in deployments()}) == 1


def test_the_form_is_enforced_and_a_deploy_ends_a_pause() -> None:
    assert all(one["enforce_parameter_schema"] is True and one["paused"] is False for one in RAW["deployments"])


def test_the_file_has_no_place_and_no_secret_of_one_computer() -> None:
    text = FILE.read_text()
    assert not re.search(r"(?i)password|token|secret|api_key|https?://", text)
    assert {one["work_pool"]["job_variables"]["working_dir"] for one in RAW["deployments"]} == {"{{ $PWD }}"}
    assert not any(
        str(value).startswith("/")
        for settings in (one.settings for one in deployments())
        if settings
        for value in settings.data.model_dump().values()
    )
