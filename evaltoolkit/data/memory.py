"""Whether a file may be read into memory, or is better left to an engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NUMBER: Final = 8
"""Bytes of a number."""
COPIES: Final = 4
"""Copies of the named columns that an analysis holds at once."""
SHARE: Final = 0.5
"""Share of the free memory that they may take."""
SUFFIXES: Final = (".parquet", ".csv")
"""Files that an engine reads as well."""
_SAMPLE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Size:
    """Number of rows of a file, and names of its columns."""

    rows: int
    columns: tuple[str, ...]


def fits(rows: int, columns: int, free: int | None) -> bool:
    """Return whether so many rows of the columns that a study names may be read into memory.

    Rule: rows x columns x 8 bytes x 4 copies <= half of the free memory; where that is not known, yes.

    >>> fits(100_000_000, 4, free=16 * 1024**3), fits(1_000_000, 4, free=16 * 1024**3)
    (False, True)
    """
    return free is None or rows * columns * NUMBER * COPIES <= SHARE * free


def size_of(file: Path) -> Size | None:
    """Return the size of a Parquet or CSV file without reading its rows; None where it is neither, or cannot be read.

    The rows of a CSV file are estimated from the length of its first lines.
    """
    try:
        if file.suffix.lower() == ".parquet":
            import pyarrow.parquet

            found = pyarrow.parquet.ParquetFile(file)
            with found:
                return Size(found.metadata.num_rows, tuple(found.schema_arrow.names))
        return _of_text(file) if file.suffix.lower() == ".csv" else None
    except Exception:  # noqa: BLE001  (what is wrong with the file is said when it is read)
        return None


def _of_text(file: Path) -> Size:
    with file.open("rb") as opened:
        head = opened.read(_SAMPLE)
    lines = head.count(b"\n") or 1
    header = head.split(b"\n", 1)[0].decode("utf-8-sig")
    rows = int(file.stat().st_size / (len(head) or 1) * lines)
    return Size(rows, tuple(name.strip().strip('"') for name in header.split(",")))


def free_bytes() -> int | None:
    """Return the memory that is free, within the limit of the container where there is one; None if not known."""
    known = [n for n in (_of_system(), _of_container()) if n is not None]
    return min(known, default=None)


def _of_system() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _of_container() -> int | None:
    place = Path("/sys/fs/cgroup")
    try:
        return int((place / "memory.max").read_text()) - int((place / "memory.current").read_text())
    except (OSError, ValueError):
        return None
