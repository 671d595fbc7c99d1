"""Program evaluation with quasi-experimental designs, from a design file to a report that program staff can read.

>>> import evaltoolkit as ev
>>> ev.__version__
'0.1.0'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaltoolkit.comparison import Comparison
    from evaltoolkit.data import connect
    from evaltoolkit.errors import EvaluationError
    from evaltoolkit.evaluation import Evaluation
    from evaltoolkit.notebook import add_moments, compare, did, evaluate, export_moments, honest, its, match
    from evaltoolkit.results import Result, load_result
    from evaltoolkit.study import Outcome

__version__ = "0.1.0"

_PLACES = {
    "Comparison": "evaltoolkit.comparison",
    "Evaluation": "evaltoolkit.evaluation",
    "EvaluationError": "evaltoolkit.errors",
    "Outcome": "evaltoolkit.study",
    "Result": "evaltoolkit.results",
    "add_moments": "evaltoolkit.notebook",
    "compare": "evaltoolkit.notebook",
    "connect": "evaltoolkit.data",
    "did": "evaltoolkit.notebook",
    "evaluate": "evaltoolkit.notebook",
    "export_moments": "evaltoolkit.notebook",
    "honest": "evaltoolkit.notebook",
    "its": "evaltoolkit.notebook",
    "load_result": "evaltoolkit.results",
    "match": "evaltoolkit.notebook",
}

__all__ = [
    "Comparison",
    "Evaluation",
    "EvaluationError",
    "Outcome",
    "Result",
    "add_moments",
    "compare",
    "connect",
    "did",
    "evaluate",
    "export_moments",
    "honest",
    "its",
    "load_result",
    "match",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    msg = f"module 'evaltoolkit' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
