"""One Spark session for as many sources as there are, quiet, and stopped with the last of them."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from evaltoolkit.data.addresses import Address
from evaltoolkit.data.limits import EngineLimits
from evaltoolkit.data.obstacles import unreachable
from evaltoolkit.errors import OptionError, SetupError

THREADS: Final = 2
"""Threads of a local Spark where nothing is said."""


@dataclass(slots=True)
class _Running:
    """The session that this package started, and how many sources use it."""

    session: Any = None
    asked: tuple[str, EngineLimits] | None = None
    users: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)


_RUNNING: Final = _Running()


def borrowed(address: Address, limits: EngineLimits, where: str) -> tuple[Any, Callable[[], None]]:
    """Return a Spark session for an address, and the call that gives it back.

    A session that runs already in this process, as in a notebook on a cluster, is used and left running.

    Raises
    ------
    SetupError
        There is no Java that Spark can use.
    OptionError
        A session runs already with other limits.
    DataFileError
        The cluster cannot be reached.
    """
    from pyspark.sql import SparkSession

    with _RUNNING.lock:
        # Counted first: a source that is collected meanwhile must not stop the session that is about to be lent.
        _RUNNING.users += 1
        try:
            found = SparkSession.getActiveSession() if _RUNNING.session is None else None
            if found is not None:
                _same(limits, EngineLimits(), where)
                _returned()
                return found, _nothing
            if _RUNNING.session is None:
                _RUNNING.session = _started(address, limits, where)
                _RUNNING.asked = (master(address, limits), limits)
            _same((master(address, limits), limits), _RUNNING.asked, where)
        except BaseException:
            _returned()
            raise
        return _RUNNING.session, _once(_returned)


def _same(wanted: object, running: object, where: str) -> None:
    if wanted != running:
        raise OptionError(
            "a Spark session runs already in this process, with another address or other limits",
            expected="the address and the limits of that session",
            todo="leave memory and threads out, or stop that session first", where=where,
        )  # fmt: skip


def _nothing() -> None:
    """Leave a session running that others started."""


def _once(call: Callable[[], None]) -> Callable[[], None]:
    done: list[bool] = []

    def _again() -> None:
        if not done:
            done.append(True)
            call()

    return _again


def _returned() -> None:
    with _RUNNING.lock:
        _RUNNING.users -= 1
        if _RUNNING.users == 0 and _RUNNING.session is not None:
            session, _RUNNING.session = _RUNNING.session, None
            session.stop()


def master(address: Address, limits: EngineLimits) -> str:
    """Return where Spark runs, in its own words.

    >>> master(Address("spark", host="local", path="x.parquet"), EngineLimits(threads=4))
    'local[4]'
    """
    if address.host == "local":
        return f"local[{limits.threads or THREADS}]"
    return f"spark://{address.host}:{address.port or 7077}"


def settings(address: Address, limits: EngineLimits, folder: str) -> dict[str, str]:
    """Return the settings of a session: no page in the browser, nothing that listens beyond this machine if local."""
    threads = limits.threads or THREADS
    found = {
        "spark.master": master(address, limits),
        "spark.app.name": "evaltoolkit",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "OFF",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }
    if address.host == "local":
        found |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": str(2 * threads),
            "spark.local.dir": folder,
        }
        if limits.mebibytes is not None:
            found["spark.driver.memory"] = f"{limits.mebibytes}m"
    elif limits.mebibytes is not None:
        found["spark.executor.memory"] = f"{limits.mebibytes}m"
    if address.host != "local" and limits.threads is not None:
        found["spark.cores.max"] = str(limits.threads)
    if address.table is None:
        found["spark.sql.warehouse.dir"] = f"{folder}/warehouse"
    else:
        found["spark.sql.catalogImplementation"] = "hive"
    return found


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return the folder that Spark may use until this process ends: a Java process keeps the first one it was given."""
    return tempfile.TemporaryDirectory(prefix="evaltoolkit-spark-", ignore_cleanup_errors=True)


def _started(address: Address, limits: EngineLimits, where: str) -> Any:
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    require_java(where)
    conf = SparkConf(loadDefaults=False).setAll(list(settings(address, limits, _folder().name).items()))
    try:
        # What the Java process prints would stand among the messages of a command.
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        gateway = None if SparkContext._gateway is not None else launch_gateway(conf, silent)
    except Exception:  # noqa: BLE001  (PySpark raises what its version likes)
        raise _no_java("the Java that was found does not start Spark", where) from None
    try:
        context = SparkContext(conf=SparkConf().setAll(conf.getAll()), gateway=gateway)
        return SparkSession(context)
    except Exception as error:  # noqa: BLE001  (errors of Java)
        raise unreachable(address, error, where) from None


def require_java(where: str) -> None:
    """Refuse where there is no Java.

    Raises
    ------
    SetupError
        With the package to install.
    """
    home = os.environ.get("JAVA_HOME")
    if home and not (Path(home) / "bin" / "java").is_file():
        raise _no_java("JAVA_HOME names a folder without Java", where)
    if not home and shutil.which("java") is None:
        raise _no_java("Spark needs Java, and there is none", where)


def _no_java(found: str, where: str) -> SetupError:
    return SetupError(
        found, expected="Java 17 or 21 on the path, or JAVA_HOME",
        todo="install it (Debian: apt-get install openjdk-17-jre-headless), or correct JAVA_HOME", where=where,
    )  # fmt: skip
