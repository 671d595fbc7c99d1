"""Data: sources, column roles, and the calendar."""

from evaltoolkit.data.audit import AuditLog
from evaltoolkit.data.calendar import Calendar, Every, detect, parse_column
from evaltoolkit.data.checks import Finding, findings
from evaltoolkit.data.columns import (
    binary_column,
    identifier_values,
    is_text,
    numeric_column,
    require_column,
    rows_text,
)
from evaltoolkit.data.engines import EngineSource, held_still
from evaltoolkit.data.limits import EngineLimits
from evaltoolkit.data.opening import connect, open_source
from evaltoolkit.data.reading import SUFFIXES, read_file
from evaltoolkit.data.sources import FileSource, FrameSource, Rows, Source

__all__ = [
    "SUFFIXES",
    "AuditLog",
    "Calendar",
    "EngineLimits",
    "EngineSource",
    "Every",
    "FileSource",
    "Finding",
    "FrameSource",
    "Rows",
    "Source",
    "binary_column",
    "connect",
    "detect",
    "findings",
    "held_still",
    "identifier_values",
    "is_text",
    "numeric_column",
    "open_source",
    "parse_column",
    "read_file",
    "require_column",
    "rows_text",
]
