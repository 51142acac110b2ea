"""A PostgreSQL server for tests: on localhost alone, with a password, to be killed and started again at will."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

PATIENCE = 120.0
"""Seconds in which it has to answer."""

UNPRIVILEGED = "nobody"
"""Who runs the server where root runs the tests: PostgreSQL refuses to run as root."""


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest version's where there are several."""
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    if newest := max(installed, key=lambda path: int(path.parent.parent.name), default=None):
        return newest.parent
    found = shutil.which("postgres")
    return Path(found).resolve().parent if found else None


class Postgres:
    """One server with its own folder; `kill` and `start` may follow each other any number of times."""

    user = "prefect"
    database = "postgres"

    def __init__(self, folder: Path, binaries: Path) -> None:
        """Make the folder a new database; nothing runs before `start`.

        Args:
            folder: an empty folder, which must not lie below one that only its owner may enter.
            binaries: folder of PostgreSQL's programs.
        """
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.password = f"{secrets.token_urlsafe()} @/:%41"  # with all that a connection URL could trip over
        self._folder = folder
        self._binaries = binaries
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            someone = pwd.getpwnam(UNPRIVILEGED)
            self._as = {"user": someone.pw_uid, "group": someone.pw_gid, "extra_groups": []}
            os.chown(folder, someone.pw_uid, someone.pw_gid)
        password = folder / "password"
        password.write_text(self.password)
        password.chmod(0o644)  # the folder is private already
        subprocess.run(
            [
                *(binaries / "initdb", "--pgdata", self.data, "--username", self.user, "--pwfile", password),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **self._as,
        )

    @property
    def data(self) -> Path:
        """Where the database lies."""
        return self._folder / "data"

    @property
    def url(self) -> str:
        """The connection URL, for Prefect."""
        return f"postgresql+asyncpg://{self.user}:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{self.database}"

    def start(self) -> None:
        """Start the server and return once it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._binaries / "postgres", "-D", self.data, "-p", str(self.port), "-k", self._folder),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),  # a killed server, not a lost machine
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._as,
            )
        until = time.monotonic() + PATIENCE
        while not self.answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < until, "PostgreSQL does not answer"
            time.sleep(0.1)

    def answers(self) -> bool:
        """Return whether it takes connections."""
        program = str(self._binaries / "pg_isready")
        asked = subprocess.run([program, "--host=127.0.0.1", f"--port={self.port}", "--quiet"])
        return asked.returncode == 0

    def query(self, sql: str) -> list[list[str]]:
        """Return the rows of a query, as text."""
        url = f"postgresql://{self.user}@127.0.0.1:{self.port}/{self.database}"
        answer = subprocess.run(
            [self._binaries / "psql", "--no-align", "--tuples-only", "--field-separator=\t", "--command", sql, url],
            env={**os.environ, "PGPASSWORD": self.password},
            check=True,
            capture_output=True,
            text=True,
        )
        return [line.split("\t") for line in answer.stdout.splitlines()]

    def kill(self) -> None:
        """End it at once, as a crash would, with all its processes: another one can then be started."""
        if self._process and self._process.poll() is None:
            children = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            self._process.wait()
            for child in children:
                if child.is_running():
                    child.kill()
            psutil.wait_procs(children)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a new PostgreSQL server, and remove it and its folder afterwards; skip where none is installed."""
    binaries = programs()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        server = Postgres(Path(folder), binaries)
        try:
            server.start()
            yield server
        finally:
            server.kill()
