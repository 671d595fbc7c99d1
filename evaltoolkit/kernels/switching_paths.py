"""When and how the treatment of each unit first changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


class SwitchError(ValueError):
    """Nothing can be estimated.

    ``treatment``: a treatment is missing. ``no-switch``: no unit's treatment changes in the direction asked for.
    ``comparison``: no unit that changes has a comparison unit with the same baseline treatment.
    """

    def __init__(self, why: Literal["treatment", "no-switch", "comparison"]) -> None:
        self.why = why
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Paths:
    """Treatment paths of n units.

    Attributes
    ----------
    baseline
        Code of the first treatment (and stratum), shape (n,).
    change
        Column of the first change, T for none, shape (n,).
    sign
        1 where it is an increase, -1 where it is a decrease, 0 for none, shape (n,).
    dose
        Treatment less the first treatment, times the sign, shape (n, T).
    kept
        False from the column on in which a unit has been both above and below its first treatment, shape (n, T).
    """

    baseline: IntArray
    change: IntArray
    sign: IntArray
    dose: FloatArray
    kept: Mask


def paths(treatment: FloatArray, strata: IntArray | None = None) -> Paths:
    """Return when and how the treatment of each unit first changes.

    Parameters
    ----------
    treatment
        Shape (n, T).
    strata
        Comparison units come from the same stratum, shape (n,); None for one.

    Raises
    ------
    SwitchError
        A treatment is missing.

    Examples
    --------
    >>> found = paths(np.array([[0.0, 1, 0], [2, 2, 1], [0, 0, 0], [1, 2, 0]]))
    >>> found.change.tolist(), found.sign.tolist(), found.baseline.tolist(), found.kept[3].tolist()
    ([1, 2, 3, 1], [1, -1, 0, 1], [0, 2, 0, 1], [True, True, False])
    """
    if not np.isfinite(treatment).all():
        raise SwitchError("treatment")
    n, T = treatment.shape
    gap = treatment - treatment[:, :1]
    moved = gap != 0
    change = np.where(moved.any(axis=1), moved.argmax(axis=1), T)
    sign = np.sign(gap[np.arange(n), np.minimum(change, T - 1)]).astype(np.int64)
    dose = gap * sign[:, None]
    kept = np.logical_and.accumulate(dose >= 0, axis=1)
    _, baseline = np.unique(treatment[:, 0], return_inverse=True)
    if strata is not None:
        _, baseline = np.unique(np.column_stack([baseline.ravel(), strata]), axis=0, return_inverse=True)
    return Paths(baseline.ravel().astype(np.int64), change.astype(np.int64), sign, dose, kept)
