"""One local Spark for all of these tests; without Java they are skipped, and fail where CI is set."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from evaltoolkit.data import EngineSource, connect

HERE = Path(__file__).parent
SparkSource = Callable[[pd.DataFrame], EngineSource]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("spark")
            # PySpark leaves the sockets of its results to the garbage collector.
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


def _required(found: object, what: str) -> None:
    if found:
        return
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not there, and CI is set")
    pytest.skip(f"{what} is not there")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> EngineSource:
    """Hold a source open, so that all tests share one session: 5 to 10 seconds once, not each time."""
    _required(importlib.util.find_spec("pyspark"), "PySpark (pip install 'evaltoolkit[spark]')")
    home = os.environ.get("JAVA_HOME")
    _required(home or shutil.which("java"), "Java (openjdk-17-jre-headless)")
    folder = tmp_path_factory.mktemp("held")
    pd.DataFrame({"x": [1.0]}).to_parquet(folder / "x.parquet")
    return connect(f"spark://local?path={folder}/x.parquet")


@pytest.fixture
def spark_source(spark: EngineSource, tmp_path: Path) -> SparkSource:
    """Return a call that puts a frame into files that Spark reads, 3 of them, and returns it as a source."""
    made: list[Path] = []

    def source(frame: pd.DataFrame) -> EngineSource:
        folder = tmp_path / f"frame{len(made)}"
        folder.mkdir()
        made.append(folder)
        for i in range(3):
            frame.iloc[i::3].to_parquet(folder / f"{i}.parquet", index=False)
        return connect(f"spark://local?path={folder}/*.parquet")

    return source
