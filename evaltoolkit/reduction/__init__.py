"""Reductions: from rows to what an estimator needs."""

from evaltoolkit.reduction.sample import AnalysisSample

__all__ = ["AnalysisSample"]
