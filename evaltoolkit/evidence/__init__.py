"""Evidence: how sure an evaluation can be, by stated rules."""

from evaltoolkit.evidence.rating import rate

__all__ = ["rate"]
