"""Difference-in-differences: compare the change where a program started with the change where it had not."""

from evaltoolkit.designs.did.design import DIFFERENCE_IN_DIFFERENCES, DifferenceInDifferences

__all__ = ["DIFFERENCE_IN_DIFFERENCES", "DifferenceInDifferences"]
