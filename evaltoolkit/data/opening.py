"""The source that a design file names: a file, or an address that an engine reads."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from evaltoolkit.data.addresses import is_address, parse_address
from evaltoolkit.data.limits import EngineLimits
from evaltoolkit.data.openers import matching, opened
from evaltoolkit.data.sources import FileSource, Source
from evaltoolkit.errors import DataFileError
from evaltoolkit.study import Study

NO_LIMITS = EngineLimits()


def open_source(study: Study, address: str | None = None, limits: EngineLimits = NO_LIMITS) -> Source:
    """Return the source of a study's rows.

    Parameters
    ----------
    study
        The study; what its design file names has to lie inside the project folder.
    address
        A file or an address to use in its place: the caller's own choice, relative to the working folder.
    limits
        What an embedded engine may use.

    Raises
    ------
    EvaluationError
        There is no such file or table, or it lies outside the project folder.
    """
    if address is not None:
        return _chosen(address, limits)
    where = study.place("data", "source")
    if study.data.source is None or study.origin is None:
        raise DataFileError(
            "the design file names no data", expected='[data] with source = "../sample_data/my.csv"',
            todo="add the source of the data", where=study.place("data"),
        )  # fmt: skip
    if not is_address(study.data.source):
        return FileSource(study.origin.resolve(study.data.source, ["data", "source"]), where=where)
    found = parse_address(study.data.source, where=where)
    if found.is_local:
        inside = study.origin.resolve(found.path or "", ["data", "source"])
        for file in matching(str(inside)):
            study.origin.resolve(file, ["data", "source"])
        found = dataclasses.replace(found, path=str(inside))
    return opened(found, limits, where=where)


def _chosen(address: str, limits: EngineLimits) -> Source:
    if is_address(address):
        return opened(parse_address(address, where="--source"), limits, where="--source")
    return FileSource(Path(address), where="--source")
