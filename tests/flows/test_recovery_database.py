"""A server's database that is killed in the middle of a run."""

from pathlib import Path

import pytest

from tests.deployments.postgres import running_postgres
from tests.factories import write_ratings
from tests.interrupting import IMPATIENT, Run, long_settings, numbers
from tests.processes import PrefectServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_a_database_that_is_killed_takes_nothing_with_it(tmp_path: Path) -> None:
    ratings = write_ratings(tmp_path / "ratings.csv")
    interrupted, undisturbed = (long_settings(ratings, tmp_path / name) for name in ("interrupted", "undisturbed"))
    with running_postgres() as database:
        server = PrefectServer(tmp_path, database=database.url)
        try:
            server.start()
            run = Run(interrupted, server.environment | IMPATIENT)
            run.come_to_its_long_training()
            database.kill()
            assert run.ends() == 2
            assert "The run has lost Prefect's server" in run.said()
            assert "Traceback" not in run.said()
            refused = Run(interrupted, server.environment)
            assert refused.ends() == 2
            assert f"Prefect's server at {server.url} answers with an error (50" in refused.said()

            database.start()
            for settings in (interrupted, undisturbed):
                run = Run(settings, server.environment)
                assert run.ends() == 0, run.said()
            assert numbers(interrupted) == numbers(undisturbed)
        finally:
            server.kill()
