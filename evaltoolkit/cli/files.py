"""Write files of the command line: whole or not at all, with one clear message when it cannot be done."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from evaltoolkit.errors import EvaluationError, OutputError

# What a machine refuses; any other OSError is a mistake of ours.
REFUSED = frozenset({
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST,
    errno.ENAMETOOLONG, errno.EIO, errno.ELOOP,
})  # fmt: skip


def write_text(file: Path, text: str) -> None:
    """Write a text file in one step.

    Raises
    ------
    OutputError
        The folder is missing or cannot be written, or the disk is full; nothing is left behind.
    """
    name: str | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except OSError as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        raise cannot_write(file, error) from None


def write_folder(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write a new folder of files in one step. An empty folder of that name may be there already.

    Raises
    ------
    OutputError
        The folder holds files already, or cannot be written; nothing is left behind.
    """
    new_folder(folder)
    made: list[Path] = []
    temporary: str | None = None
    try:
        for parent in reversed([p for p in folder.absolute().parents if not p.exists()]):
            parent.mkdir()
            made.append(parent)
        temporary = tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent)
        for name, content in files.items():
            target = Path(temporary) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        Path(temporary).chmod(0o755)
        Path(temporary).replace(folder.absolute())
    except OSError as error:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        for parent in reversed(made):
            parent.rmdir()
        raise cannot_write(folder, error) from None
    return [folder / name for name in files]


def new_folder(folder: Path) -> None:
    """Refuse a folder that is there and not empty, or a file in its place."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"'{folder}' is a file", expected="a folder", todo="choose another name")
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(
            f"the folder '{folder}' is not empty",
            expected="a new folder",
            todo="choose another name, or empty it first",
        )


def cannot_write(place: Path, error: OSError) -> OutputError:
    """Return the error for a place that cannot be written."""
    return OutputError(
        f"'{place}' cannot be written ({error.strerror or type(error).__name__})",
        expected="a folder that exists and can be written, on a disk with space",
        todo="choose another folder with --out, or free some space",
    )


def explained(error: EvaluationError | OSError) -> EvaluationError:
    """Return the error of ours that stands for a refused file or folder."""
    if isinstance(error, EvaluationError):
        return error
    place = f"'{error.filename}'" if error.filename else "a file or folder"
    return OutputError(
        f"{place} cannot be used ({error.strerror or type(error).__name__})",
        expected="a folder that can be written, on a disk with space",
        todo="choose another folder with --out, or free some space",
    )
