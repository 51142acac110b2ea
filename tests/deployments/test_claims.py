"""Which deployments and work pools of a server are this folder's, and what those of another folder are left."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate

from deployments.claims import FOLDER_LINE, NotDeployed, claim, claim_pool, left_behind
from deployments.config import ROOT, Deployment, deployments
from deployments.machine import served

CALL = 'make deploy ARGS="{}"'

ELSEWHERE = "/srv/other checkout"


class Server:
    """A server on which deployments of some folder are made, and removed after the test."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self.client = client
        self._made: set[UUID] = set()
        self._pools: list[str] = []

    def pool(self, name: str, description: str | None = None) -> None:
        self.client.create_work_pool(WorkPoolCreate(name=name, type="process", description=description))
        self._pools.append(name)

    def deployment(self, full_name: str, **fields: Any) -> None:
        flow, name = full_name.split("/")
        flow_id = self.client.create_flow_from_name(flow)
        self._made.add(self.client.create_deployment(flow_id=flow_id, name=name, **fields))

    def of(self, folder: str, pool: str, suffix: str = "") -> None:
        """Register all deployments of a folder in a pool, as `make deploy` does."""
        for one in deployments():
            self.deployment(one.full_name + suffix, work_pool_name=pool, job_variables={"working_dir": folder})

    def clear(self) -> None:
        for one in self._made:
            self.client.delete_deployment(one)
        for name in self._pools:
            self.client.delete_work_pool(name)


@pytest.fixture
def server(prefect_server: str) -> Iterator[Server]:
    with get_client(sync_client=True) as client:
        server = Server(client)
        yield server
        server.clear()


def claimed(server: Server, suffix: str | None = None, *, take_over: bool = False) -> tuple[set[str], str]:
    """Return the names and the pool that this folder is given."""
    found = claim(server.client, suffix, take_over=take_over, call=CALL)
    [pool] = {one.pool for one in found}
    return {one.name for one in found}, pool


def names(suffix: str = "") -> set[str]:
    return {one.name + suffix for one in deployments()}


def test_on_a_new_server_all_has_the_names_of_the_file(server: Server) -> None:
    assert claimed(server) == (names(), "local")


def test_what_this_folder_has_registered_stays_its_own(server: Server) -> None:
    server.pool("local")  # as version 0.2.0 made it
    server.of(str(ROOT), "local")
    assert claimed(server) == (names(), "local")


def test_a_link_to_this_folder_is_this_folder(server: Server, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(ROOT)
    server.pool("local")
    server.of(str(tmp_path / "link"), "local")
    assert claimed(server) == (names(), "local")


def test_deployments_of_another_folder_are_not_taken_over_unless_that_is_asked_for(server: Server) -> None:
    server.pool("local")
    server.of(ELSEWHERE, "local")
    with pytest.raises(NotDeployed) as refused:
        claimed(server)
    said = str(refused.value)
    assert f"is that of the project in {ELSEWHERE}: " in said
    assert 'make deploy ARGS="--take-over" has all of them run in this folder instead' in said
    assert 'make deploy ARGS="--suffix NAME" registers others beside them, such as ' in said
    taken, pool = claimed(server, take_over=True)
    assert taken == names()
    assert pool.startswith("local-"), "the other folder's worker may still wait for runs of its pool"
    assert claimed(server, "mine") == (names("-mine"), "local-mine")


def test_the_suffix_is_remembered(server: Server) -> None:
    server.pool("local")
    server.pool("local-mine")
    server.of(ELSEWHERE, "local")
    server.of(str(ROOT), "local-mine", suffix="-mine")
    assert claimed(server) == (names("-mine"), "local-mine")
    assert claimed(server, "other") == (names("-other"), "local-other")
    found = claim(server.client, "other", take_over=False, call=CALL)
    assert set(left_behind(server.client, found)) == names("-mine")
    with pytest.raises(NotDeployed):
        claimed(server, "")
    assert claimed(server, "", take_over=True)[0] == names()


def test_a_suffix_of_another_folder_is_refused(server: Server) -> None:
    server.pool("local-mine")
    server.of(ELSEWHERE, "local-mine", suffix="-mine")
    with pytest.raises(NotDeployed, match=f"compare.*-mine at .* is that of the project in {ELSEWHERE}"):
        claimed(server, "mine")
    assert claimed(server) == (names(), "local")


@pytest.mark.parametrize("suffix", ["a/b", "-x", "a b", "é"])
def test_a_suffix_that_is_no_part_of_a_name_is_refused(server: Server, suffix: str) -> None:
    with pytest.raises(NotDeployed, match="--suffix"):
        claimed(server, suffix)


def test_the_pool_of_something_else_is_left_alone(server: Server) -> None:
    server.pool("local")
    server.deployment("etl/hourly", work_pool_name="local")
    assert claimed(server)[1].startswith("local-")


def test_a_pool_is_described_as_that_of_the_folder_that_uses_it_first(server: Server) -> None:
    server.pool("local")
    assert claimed(server) == (names(), "local")
    claim_pool(server.client, "local")
    assert server.client.read_work_pool("local").description == FOLDER_LINE.format(ROOT)
    assert claimed(server) == (names(), "local")
    server.pool("local-b", FOLDER_LINE.format(ELSEWHERE))
    claim_pool(server.client, "local-b")
    assert server.client.read_work_pool("local-b").description == FOLDER_LINE.format(ELSEWHERE)
    assert claimed(server, "b")[1].startswith("local-b-")


def test_served_deployments_say_whose_they_are(server: Server) -> None:
    first: Deployment = deployments()[0]
    description = served(first).description
    assert description
    server.deployment(first.full_name, description=description.replace(str(ROOT), ELSEWHERE))
    with pytest.raises(NotDeployed, match=f"{first.name} .* is that of the project in {ELSEWHERE}"):
        claimed(server)
    server.deployment(first.full_name, description=description)
    assert claimed(server) == (names(), "local")
