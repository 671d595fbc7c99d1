"""What a researcher calls: ``did``, ``match``, ``its``, ``evaluate``, ``honest``; and what they return."""

from __future__ import annotations

from evaltoolkit.evaluation import Evaluation
from evaltoolkit.notebook.departures import honest
from evaltoolkit.notebook.difference_in_differences import did
from evaltoolkit.notebook.matching import match
from evaltoolkit.notebook.studies import compare, evaluate
from evaltoolkit.notebook.time_series import its
from evaltoolkit.study import Outcome

__all__ = ["Evaluation", "Outcome", "compare", "did", "evaluate", "honest", "its", "match"]
