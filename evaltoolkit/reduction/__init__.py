"""Reductions: from rows to what an estimator needs."""

from evaltoolkit.reduction.panel import Panel, widen
from evaltoolkit.reduction.sample import AnalysisSample
from evaltoolkit.reduction.staying import stays

__all__ = ["AnalysisSample", "Panel", "stays", "widen"]
