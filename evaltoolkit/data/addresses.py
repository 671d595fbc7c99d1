"""Addresses of data that an engine reads: a database, or files larger than memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, cast
from urllib.parse import parse_qs, unquote, urlsplit

from evaltoolkit.errors import DataFileError, did_you_mean

Engine = Literal["duckdb", "parquet", "csv", "postgres", "spark"]

_FORMS: Final[dict[str, str]] = {
    "duckdb": "duckdb:///folder/file.db?table=panel",
    "parquet": "parquet:folder/*.parquet",
    "csv": "csv:folder/*.csv",
    "postgres": "postgres://host:5432/database?table=schema.panel",
    "spark": "spark://local?path=folder/*.parquet, or spark://local?table=schema.panel",
}
"""How an address of each engine is written."""
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "duckdb": ("table",), "parquet": (), "csv": (), "postgres": ("table",), "spark": ("table", "path"),
}  # fmt: skip
_FILES: Final = ("parquet", "csv")
_STORES: Final = ("s3://", "s3a://", "gs://", "abfs://", "abfss://", "wasbs://", "hdfs://", "dbfs:/")
"""How a path begins that a cluster reads from its own store."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine finds a table.

    Attributes
    ----------
    engine
        Which engine.
    path
        File, or pattern of files, relative to the folder it is read from; None where there is none.
    table
        Table, ``schema.table`` for one in a schema; None where files are the table.
    host, port, database, user
        Of a server. Passwords come from the environment, never from an address.
    """

    engine: Engine
    path: str | None = None
    table: str | None = None
    host: str | None = None
    port: int | None = None
    database: str | None = None
    user: str | None = None

    @property
    def name(self) -> str:
        """The name that may be printed: no folder, no host, no user."""
        if self.table is not None:
            return self.table
        return (self.path or "").rsplit("/", 1)[-1]

    @property
    def format(self) -> str:
        """Kind of the files: parquet or csv."""
        return "csv" if self.engine == "csv" or (self.path or "").lower().endswith(".csv") else "parquet"

    @property
    def is_local(self) -> bool:
        """Whether the path is of this machine's files."""
        stored = self.engine == "spark" and (self.path or "").startswith(_STORES)
        return self.path is not None and not stored


def is_address(text: str) -> bool:
    """Return whether a source names an engine rather than a file.

    >>> is_address("duckdb:///x.db?table=t"), is_address("parquet:data/*.parquet"), is_address("data/x.csv")
    (True, True, False)
    """
    return "://" in text or text.partition(":")[0].lower() in _FILES


def parse_address(text: str, *, where: str = "") -> Address:
    """Read an address.

    Raises
    ------
    DataFileError
        The engine is not known, a part is missing or not known, or the address holds a password.

    Examples
    --------
    >>> parse_address("duckdb:///data/state.db?table=panel")
    Address(engine='duckdb', path='data/state.db', table='panel', ...)
    >>> parse_address("parquet:years/*.parquet").path
    'years/*.parquet'
    """
    scheme, _, rest = text.partition(":")
    scheme = {"postgresql": "postgres"}.get(scheme.lower(), scheme.lower())
    if scheme not in _FORMS:
        raise DataFileError(
            f"the address begins with '{scheme}:'{did_you_mean(scheme, _FORMS)}",
            expected="one of " + ", ".join(_FORMS.values()),
            todo="correct the address, or bring the data into the project folder and name the file", where=where,
        )  # fmt: skip
    engine = cast("Engine", scheme)
    if engine in _FILES:
        if not rest.strip("/"):
            raise _incomplete(engine, "no file", where)
        return Address(engine, path=rest)
    return _of_server(engine, text, where)


def _of_server(engine: Engine, text: str, where: str) -> Address:
    parts = urlsplit(text)
    if parts.password is not None:
        raise DataFileError(
            "the address holds a password", expected="passwords in the environment only (PGPASSWORD, or ~/.pgpass)",
            todo="take the password out of the address, and change it if others have seen it", where=where,
        )  # fmt: skip
    asked = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
    for key in asked:
        if key not in _KEYS[engine]:
            raise DataFileError(
                f"the address has '{key}='{did_you_mean(key, _KEYS[engine])}", expected=_FORMS[engine],
                todo="correct or remove it", where=where,
            )  # fmt: skip
    if engine == "spark":
        return _of_spark(parts.hostname, parts.port, asked, where)
    table = asked.get("table") or None
    inside = unquote(parts.path.removeprefix("/"))
    if not inside:
        raise _incomplete(engine, "no file" if engine == "duckdb" else "no database", where)
    if table is None:
        raise _incomplete(engine, "no table", where)
    if engine == "duckdb":
        return Address(engine, path=parts.netloc + inside, table=table)
    return Address(
        engine, table=table, host=parts.hostname, port=parts.port, database=inside, user=parts.username
    )  # fmt: skip


def _of_spark(host: str | None, port: int | None, asked: dict[str, str], where: str) -> Address:
    table, path = asked.get("table") or None, asked.get("path") or None
    if host is None:
        raise _incomplete("spark", "no cluster", where)
    if (table is None) == (path is None):
        raise _incomplete("spark", "both a table and a path" if table else "no table and no path", where)
    found = Address("spark", path=path, table=table, host=host, port=port)
    if host != "local" and found.is_local:
        raise DataFileError(
            "the address names files of this machine for a cluster", expected="a table, or a path such as s3a://...",
            todo="name what the cluster can read, or use spark://local", where=where,
        )  # fmt: skip
    return found


def _incomplete(engine: Engine, what: str, where: str) -> DataFileError:
    return DataFileError(f"the address names {what}", expected=_FORMS[engine], todo="complete the address", where=where)
