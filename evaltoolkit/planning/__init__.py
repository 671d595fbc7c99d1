"""What a study could find, before its outcomes are read."""

from evaltoolkit.planning.power import SCHEMA, Planned, plan

__all__ = ["SCHEMA", "Planned", "plan"]
