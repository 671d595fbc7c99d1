"""The analysis sample: what an estimator runs on, and how it came about."""

from __future__ import annotations

import dataclasses
from typing import Any, Generic, TypeVar

from evaltoolkit.results import FlowStep

Content = TypeVar("Content")


@dataclasses.dataclass(frozen=True, slots=True)
class AnalysisSample(Generic[Content]):
    """Arrays or moments for one design, with the flow from the data to them.

    Attributes
    ----------
    content
        The design's own frozen dataclass of arrays or moments.
    flow
        The steps from the data to this sample; exclusions are steps.
    identifiers
        Values of the identifier columns as text; sealing refuses any output that holds one.
    products
        Row-level things that a researcher may want (matched data, weights, influence functions, covariance). The
        design's ``estimate`` fills it; it lives in memory only and is never written.
    """

    content: Content
    flow: tuple[FlowStep, ...]
    identifiers: frozenset[str] = frozenset()
    products: dict[str, Any] = dataclasses.field(default_factory=dict)
