"""Interrupted time series."""

from evaltoolkit.designs.its.design import INTERRUPTED_TIME_SERIES

__all__ = ["INTERRUPTED_TIME_SERIES"]
