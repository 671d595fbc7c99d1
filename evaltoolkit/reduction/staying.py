"""Whether rows stay in the place they are in."""

from __future__ import annotations

from evaltoolkit.data import EngineSource, Source
from evaltoolkit.reduction.moment_source import MomentsSource
from evaltoolkit.study import Study


def stays(study: Study, source: Source) -> bool:
    """Return whether a design has to do with sums.

    Rows leave an engine only where the study says so; those of files and frames are here already, and are used unless
    the study says otherwise.
    """
    if isinstance(source, MomentsSource):
        return True
    if isinstance(source, EngineSource):
        return study.data.release != "open"
    if isinstance(source, MomentsSource):
        return True
    return study.data.release in {"moments", "strict"}
