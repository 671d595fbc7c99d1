"""One study, estimated in every reasonable way that its design knows: a specification curve."""

from evaltoolkit.comparison.analyses import Analysis
from evaltoolkit.comparison.compared import SCHEMA, Comparison, compare

__all__ = ["SCHEMA", "Analysis", "Comparison", "compare"]
