"""The audit log: what was asked of an engine and what left it, one line of JSON each, only ever added to."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from evaltoolkit.errors import OutputError

SCHEMA: Final = "evaltoolkit.audit/1"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(slots=True)
class AuditLog:
    """A file to which every query is written before it runs, and what it returned after it.

    Attributes
    ----------
    path
        The file; made where it is not there.
    now
        The clock.

    Raises
    ------
    OutputError
        The file cannot be written; nothing has run then.
    """

    path: Path
    now: Callable[[], datetime.datetime] = _now
    _n: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._write("")

    def asked(self, what: str, sql: str, context: Mapping[str, Any]) -> int:
        """Write a query that is about to run, and return its number."""
        self._n += 1
        digest = hashlib.sha256(sql.encode()).hexdigest()
        self._line("asked", {"query": self._n, **context, "step": what, "sql_sha256": digest, "sql": sql})
        return self._n

    def left(self, number: int, n_rows: int, columns: tuple[str, ...]) -> None:
        """Write what a query returned: so many rows of these columns left the engine."""
        self._line("left", {"query": number, "rows": n_rows, "n_columns": len(columns), "columns": list(columns)})

    def stopped(self, number: int) -> None:
        """Write that a query did not end; nothing of it left."""
        self._line("stopped", {"query": number, "rows": 0, "n_columns": 0, "columns": []})

    def _line(self, event: str, values: dict[str, Any]) -> None:
        head = {"schema": SCHEMA, "event": event, "time": self.now().isoformat(), "process": os.getpid()}
        self._write(json.dumps(head | values, ensure_ascii=False, default=str) + "\n")

    def _write(self, text: str) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"the audit log '{self.path}' cannot be written ({error.strerror or type(error).__name__})",
                expected="a file that can be added to, on a disk with space",
                todo="name another file; without its log no query is run", where="audit log",
            ) from None  # fmt: skip
