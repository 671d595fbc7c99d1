"""From the arguments of a call to a study, and to its evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from evaltoolkit.data import EngineSource, FrameSource, connect
from evaltoolkit.evaluation import Evaluation
from evaltoolkit.pipeline import evaluate as _evaluate
from evaltoolkit.reduction.moment_source import MomentsSource
from evaltoolkit.study import Outcome, study_from

RowKind = Literal["people", "events", "aggregates"]


def evaluated(
    design: str, frame: Any, outcome: str | Outcome, settings: Mapping[str, Any], shared: Mapping[str, Any]
) -> Evaluation:
    """Return the evaluation of a frame, a table in an engine or sums, by its design's settings and the shared ones."""
    described = Outcome(column=outcome) if isinstance(outcome, str) else outcome
    study = study_from(
        {
            "design": design,
            "title": shared["title"] or f"Effect on {described.name}",
            "program": shared["program"],
            "outcome": described,
            "data": {"rows": shared["rows"], "release": shared["release"]},
            "inference": {"method": shared["inference"]}
            | {name: shared[name] for name in ("level", "draws", "seed") if name in shared},
            "disclosure": {"identifiers": tuple(shared["identifiers"])},
            **{key: value for key, value in settings.items() if value is not None},
        }
    )
    known = isinstance(frame, EngineSource | FrameSource | MomentsSource)
    source = frame if known else connect(frame, where="the data")
    return Evaluation(_evaluate(study, source))
