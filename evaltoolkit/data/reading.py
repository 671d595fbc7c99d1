"""Read one data file into a frame, with one clear message when it cannot be read."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from evaltoolkit.errors import DataFileError, SetupError, did_you_mean

_SIBLINGS_SHOWN = 200


def _csv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, encoding="utf-8-sig", skipinitialspace=True)


def _tsv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", encoding="utf-8-sig")


def _excel(path: Path) -> pd.DataFrame:
    return pd.read_excel(path, engine="calamine")


def _spss(path: Path) -> pd.DataFrame:
    import pyreadstat

    return pyreadstat.read_sav(path)[0]


def _sas(path: Path) -> pd.DataFrame:
    import pyreadstat

    return pyreadstat.read_sas7bdat(path)[0]


_READERS: dict[str, tuple[Callable[[Path], Any], str | None]] = {
    ".csv": (_csv, None),
    ".tsv": (_tsv, None),
    ".dta": (pd.read_stata, None),
    ".xlsx": (_excel, "python_calamine"),
    ".parquet": (pd.read_parquet, "pyarrow"),
    ".feather": (pd.read_feather, "pyarrow"),
    ".sav": (_spss, "pyreadstat"),
    ".sas7bdat": (_sas, "pyreadstat"),
}

SUFFIXES: tuple[str, ...] = tuple(_READERS)


def read_file(path: Path, *, where: str) -> pd.DataFrame:
    """Read a data file by its suffix.

    Raises
    ------
    DataFileError
        The file is missing, empty, of an unknown kind, or cannot be read.
    SetupError
        Reading this kind of file needs an optional package.
    """
    _must_exist(path, where)
    reader, needs = _reader_for(path, where)
    if needs is not None and importlib.util.find_spec(needs) is None:
        raise SetupError(
            f"reading {path.suffix} files needs the package {needs}", expected="the extra 'files' to be installed",
            todo="run: pip install 'evaltoolkit[files]', or save the data as .csv", where=where,
        )  # fmt: skip
    try:
        frame: pd.DataFrame = reader(path)
    except Exception as error:  # noqa: BLE001  (each reader raises errors of its own library)
        raise DataFileError(
            f"'{path.name}' cannot be read as {path.suffix}: {_reason(error)}",
            expected=f"a {path.suffix} file with one header row and one row per observation",
            todo="open the file and check its header, its delimiter and its encoding (UTF-8)", where=where,
        ) from None  # fmt: skip
    return _with_sound_header(frame, path, where)


def _reason(error: Exception) -> str:
    # A reader's own message may quote a row; only the counts of columns and lines are passed on.
    counts = re.search(r"Expected \d+ fields in line \d+, saw \d+", str(error))
    if counts:
        return counts.group(0)
    if isinstance(error, UnicodeDecodeError):
        return f"the bytes at {error.start} are not {error.encoding}"
    return type(error).__name__


def _must_exist(path: Path, where: str) -> None:
    if path.is_dir():
        found, todo = f"'{path.name}' is a folder", "name the data file inside it"
    elif not path.exists():
        folder = path.parent
        siblings = [p.name for p in sorted(folder.iterdir())[:_SIBLINGS_SHOWN]] if folder.is_dir() else []
        found = f"there is no file '{path.name}' in the folder '{folder.name}'{did_you_mean(path.name, siblings)}"
        todo = "correct data.source; paths are relative to the design file"
    elif path.stat().st_size == 0:
        found, todo = f"the file '{path.name}' is empty", "export the data again"
    else:
        return
    raise DataFileError(found, expected="a data file with rows", todo=todo, where=where)


def _reader_for(path: Path, where: str) -> tuple[Callable[[Path], Any], str | None]:
    try:
        return _READERS[path.suffix.lower()]
    except KeyError:
        raise DataFileError(
            f"files of the kind '{path.suffix or path.name}' are not read", expected="one of " + ", ".join(SUFFIXES),
            todo="save the data as .csv", where=where,
        ) from None  # fmt: skip


def _with_sound_header(frame: pd.DataFrame, path: Path, where: str) -> pd.DataFrame:
    if path.suffix.lower() == ".csv" and frame.shape[1] == 1:
        header = str(frame.columns[0])
        for mark, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if mark in header:
                raise DataFileError(
                    f"'{path.name}' has one column only, and its header holds {name}",
                    expected="commas between the columns of a .csv file",
                    todo="export it with commas" + (", or name it .tsv" if mark == "\t" else ""), where=where,
                )  # fmt: skip
    blank = [
        i for i, name in enumerate(frame.columns, start=1) if not str(name).strip() or str(name).startswith("Unnamed:")
    ]
    named_blank = [i for i in blank if frame.iloc[:, i - 1].notna().any()]
    if named_blank:
        raise DataFileError(
            f"'{path.name}' has no header over column {named_blank[0]}", expected="a name over every column",
            todo="give the column a name, or remove it", where=where,
        )  # fmt: skip
    if blank:
        frame = frame.drop(columns=[frame.columns[i - 1] for i in blank])
    frame.columns = [str(name).strip() for name in frame.columns]
    return frame
