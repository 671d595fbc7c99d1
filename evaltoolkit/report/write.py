"""Writing a report: into a temporary neighbour first, then moved in one step, so that nothing is ever half written."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, get_args

from evaltoolkit.errors import OptionError, OutputError
from evaltoolkit.plots import svg
from evaltoolkit.report.blocks import Picture, ReportModel
from evaltoolkit.report.model import build
from evaltoolkit.report.typst_pdf import render
from evaltoolkit.results import Provenance, Result, to_json

Format = Literal["pdf", "json"]
MANIFEST: Final = "manifest.json"
_FORMATS: Final = get_args(Format)
_EXCHANGE: Final = 2
_AT_FDCWD: Final = -100


def write_report(
    result: Result,
    folder: str | Path,
    formats: Iterable[str] = ("pdf", "json"),
    *,
    on_warning: Callable[[str], object] | None = None,
) -> list[Path]:
    """Write the report folder of a result.

    The folder holds ``result.json``, ``manifest.json`` and, for the format ``pdf``, ``report.pdf`` and
    ``figures/*.svg``. It is written beside its place and moved in one step; a run that fails or is killed leaves the
    previous folder as it was. The same result gives the same bytes.

    Parameters
    ----------
    result
        The sealed result.
    folder
        The report folder. It may be new, empty, or an earlier report, which is replaced.
    formats
        ``pdf``, ``json``. The result itself is always written.
    on_warning
        Called with each warning, such as characters for which no font was found.

    Returns
    -------
    list of Path
        The files, the report first.

    Raises
    ------
    OptionError
        A format is not known.
    OutputError
        The folder cannot be written, or holds something that is not a report.
    """
    wanted = list(dict.fromkeys(formats))
    for name in wanted:
        if name not in _FORMATS:
            raise OptionError.unknown("format", name, _FORMATS)
    _may_replace(Path(os.path.realpath(folder)))
    return write_files(_contents(result, wanted, on_warning or (lambda _: None)), folder, result.provenance)


def write_files(contents: Mapping[str, bytes], folder: str | Path, source: Provenance) -> list[Path]:
    """Write files and their ``manifest.json`` as a folder, in one step; an earlier folder of this kind is replaced.

    Parameters
    ----------
    contents
        What to write, by path inside the folder.
    folder
        The folder.
    source
        What the files were made from, for the manifest.

    Raises
    ------
    OutputError
        The folder cannot be written, or holds files without a manifest.
    """
    place = Path(os.path.realpath(folder))
    _may_replace(place)
    every = {**contents, MANIFEST: _manifest(source, contents)}
    with _said_clearly(place), _temporary(place) as fresh:
        for name, data in every.items():
            target = fresh / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(data)
        _move(fresh, place)
    return [Path(folder) / name for name in every]


def write_file(result: Result, path: str | Path, *, as_format: Format | None = None) -> Path:
    """Write one file, whole or not at all.

    Parameters
    ----------
    result
        The sealed result.
    path
        Where to write; the suffix picks the format where ``as_format`` is not given.
    as_format
        ``pdf`` or ``json``.

    Raises
    ------
    OptionError
        The suffix is not that of a format.
    OutputError
        The file cannot be written.
    """
    file = Path(os.path.realpath(path))
    chosen = as_format or file.suffix.lower().lstrip(".")
    if chosen not in _FORMATS:
        raise OptionError.unknown("format", chosen, _FORMATS)
    _no_folder(path)
    return write_bytes(render(build(result)).pdf if chosen == "pdf" else _json_bytes(result), path)


def write_bytes(data: bytes, path: str | Path) -> Path:
    """Write a file of bytes, whole or not at all.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    file = Path(os.path.realpath(path))
    _no_folder(path)
    with _said_clearly(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        part = _neighbour(file)
        try:
            part.write_bytes(data)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    return Path(path)


def _no_folder(path: str | Path) -> None:
    if Path(os.path.realpath(path)).is_dir():
        raise OutputError(f"'{path}' is a folder", expected="the name of a file", todo="add a file name to the path")


def _json_bytes(result: Result) -> bytes:
    return to_json(result).encode("utf-8", "backslashreplace")


def _contents(result: Result, formats: list[str], warn: Callable[[str], object]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    if "pdf" in formats:
        model = build(result)
        rendered = render(model)
        for warning in rendered.warnings:
            warn(warning)
        contents["report.pdf"] = rendered.pdf
        for name, picture in _pictures(model).items():
            contents[f"figures/{name}.svg"] = svg(picture.figure, words="with-words").encode("utf-8")
    return contents | {"result.json": _json_bytes(result)}


def _pictures(model: ReportModel) -> dict[str, Picture]:
    """Return the figures by a file name that is safe and used once."""
    found = [model.lead] if model.lead else []
    found += [b for section in model.sections for b in section.blocks if isinstance(b, Picture)]
    named: dict[str, Picture] = {}
    for picture in found:
        stem = re.sub(r"[^a-z0-9]+", "-", picture.figure.key.lower()).strip("-")[:60] or "figure"
        name, n = stem, 2
        while name in named:
            name, n = f"{stem}-{n}", n + 1
        named[name] = picture
    return named


def _manifest(source: Provenance, contents: Mapping[str, bytes]) -> bytes:
    facts = {
        "schema": "evaltoolkit.manifest/1",
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(contents.items())},
        "data": {"name": source.data_name, "sha256": source.data_sha256},
        "design": {"name": source.design_name, "sha256": source.design_sha256},
        "seed": source.seed,
        "versions": dict(sorted(source.versions.items())),
    }
    return (json.dumps(facts, indent=2) + "\n").encode()


def _may_replace(place: Path) -> None:
    if not place.exists():
        return
    if not place.is_dir():
        raise OutputError(
            f"'{place}' is a file",
            expected="a folder, or a name that is free",
            todo="choose another folder for the report",
        )
    try:
        occupied = any(place.iterdir()) and not (place / MANIFEST).is_file()
    except OSError as error:
        raise _clear(error, place) from None
    if occupied:
        raise OutputError(
            f"the folder '{place}' holds files and no {MANIFEST}, so it is not a report",
            expected="a new or empty folder, or an earlier report",
            todo="choose another folder for the report",
        )


def _neighbour(place: Path) -> Path:
    return place.with_name(f".{place.name[:80]}.{secrets.token_hex(4)}.part")


@contextlib.contextmanager
def _temporary(place: Path) -> Iterator[Path]:
    """Give a new folder beside the place; whatever happens, it is gone afterwards, and so are parents made for it."""
    made = [parent for parent in (place.parent, *place.parent.parents) if not parent.exists()]
    fresh = _neighbour(place)
    try:
        fresh.mkdir(parents=True)
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()


def _move(fresh: Path, place: Path) -> None:
    """Put the new folder in its place; an earlier one ends up at the temporary name and is removed with it."""
    if not place.exists():
        fresh.rename(place)
    elif not _exchange(fresh, place):
        old = _neighbour(place)
        place.rename(old)
        try:
            fresh.rename(place)
        except OSError:
            old.rename(place)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step, where the system can."""
    try:
        swap = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    code: int = swap(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE)
    return code == 0


@contextlib.contextmanager
def _said_clearly(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _clear(error, place) from error


_REASONS: Final = {
    errno.ENOSPC: ("the disk is full", "room for the report (about 2 MB)", "free some room, or choose another place"),
    errno.EDQUOT: ("the disk quota is used up", "enough room for the report (about 2 MB)", "free some room"),
    errno.EROFS: ("the place is read-only", "a folder that can be written", "choose another place"),
    errno.EACCES: ("writing is not permitted", "a folder that can be written", "choose another place"),
    errno.EPERM: ("writing is not permitted", "a folder that can be written", "choose another place"),
    errno.ENOTDIR: ("a file stands in the way", "a path whose parents are folders", "choose another place"),
    errno.EEXIST: ("a file stands in the way", "a path whose parents are folders", "choose another place"),
    errno.ENAMETOOLONG: ("the name is too long", "a shorter name", "choose a shorter name"),
}  # fmt: skip


def _clear(error: OSError, place: Path) -> OutputError:
    unknown = (error.strerror or error.__class__.__name__, "a folder that can be written", "choose another place")
    found, expected, todo = _REASONS.get(error.errno or 0, unknown)
    return OutputError(f"'{place}' could not be written: {found}. Nothing was changed", expected=expected, todo=todo)
