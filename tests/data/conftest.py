"""A PostgreSQL server of the tests' own; without one to start, tests of it are skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a PostgreSQL server of the test's own, on a socket; skip where there is none to start."""
    pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs or (os.getuid() == 0 and shutil.which("runuser") is None):
        pytest.skip("no PostgreSQL server is installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if as_user:
            shutil.chown(folder, "postgres")
        folder.chmod(0o755)
        data, options = str(folder / "data"), f"-c listen_addresses= -k {folder}"
        control = [*as_user, str(programs[-1] / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log")]
        subprocess.run([*as_user, str(programs[-1] / "initdb"), "-D", data, "-A", "trust", "-U", "me"], check=True)
        subprocess.run([*control, "-o", options, "start"], check=True)
        try:
            yield name
        finally:
            subprocess.run([*control, "-m", "fast", "stop"], check=True)
