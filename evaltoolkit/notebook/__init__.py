"""What a researcher calls: ``did``, ``match``, ``its``, ``evaluate`` and others; and what they return."""

from __future__ import annotations

from evaltoolkit.evaluation import Evaluation
from evaltoolkit.notebook.departures import honest
from evaltoolkit.notebook.difference_in_differences import did
from evaltoolkit.notebook.matching import match
from evaltoolkit.notebook.studies import add_moments, compare, evaluate, export_moments
from evaltoolkit.notebook.time_series import its
from evaltoolkit.study import Outcome

__all__ = [
    "Evaluation",
    "Outcome",
    "add_moments",
    "compare",
    "did",
    "evaluate",
    "export_moments",
    "honest",
    "its",
    "match",
]
