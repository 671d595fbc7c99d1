"""An event study as sensitivity analysis sees it, and the restrictions on how parallel trends may fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Wrong = Literal["shape", "finite", "covariance", "weights", "level", "m", "method"]

ROUNDING = 1e-8
"""Negative eigenvalues of a correlation matrix below this are rounding."""


class HonestError(ValueError):
    """The input of a sensitivity analysis does not fit: ``why`` names the part to blame."""

    def __init__(self, why: Wrong) -> None:
        self.why = why
        super().__init__(f"sensitivity analysis: {why}")


@dataclass(frozen=True, slots=True)
class EventStudy:
    """Event-study estimates: ``n_pre`` periods before the reference, then those after, the reference left out.

    Attributes
    ----------
    estimates
        Shape (K,), in the order of time; neighbours are one period apart and so are the reference and its neighbours.
    covariance
        Shape (K, K); it may be singular.
    n_pre
        How many come before the reference, at least 1 and fewer than K.

    Raises
    ------
    HonestError
        Shapes do not agree, a number is missing or infinite, or the covariance is not positive semi-definite.
    """

    estimates: FloatArray
    covariance: FloatArray
    n_pre: int

    def __post_init__(self) -> None:
        """Check shapes and numbers."""
        k = self.estimates.size
        if self.estimates.shape != (k,) or self.covariance.shape != (k, k) or not 1 <= self.n_pre < k:
            raise HonestError("shape")
        if not (np.isfinite(self.estimates).all() and np.isfinite(self.covariance).all()):
            raise HonestError("finite")
        spread = np.sqrt(np.clip(np.diag(self.covariance), 0, None))
        unit = np.where(spread > 0, spread, 1.0)
        correlation = self.covariance / np.outer(unit, unit)
        crooked = np.abs(correlation - correlation.T).max() > ROUNDING
        loose = np.abs(correlation[spread == 0]).max(initial=0) > 0
        if crooked or loose or np.linalg.eigvalsh(correlation)[0] < -ROUNDING * k:
            raise HonestError("covariance")

    @property
    def n_post(self) -> int:
        """Periods after the reference."""
        return int(self.estimates.size) - self.n_pre

    def standardised(self) -> tuple[EventStudy, float]:
        """Return the study in units of its largest standard error, and that unit, so that thresholds have a meaning."""
        unit = float(np.sqrt(np.diag(self.covariance).max())) or float(np.abs(self.estimates).max()) or 1.0
        symmetric = (self.covariance + self.covariance.T) / 2
        return EventStudy(self.estimates / unit, symmetric / unit / unit, self.n_pre), unit


@dataclass(frozen=True, slots=True)
class Restriction:
    r"""What a deviation :math:`\delta` from parallel trends may be after the reference.

    :math:`|D \delta| \le m + v'\delta` row by row.

    Attributes
    ----------
    differences
        D, shape (n_post, K); its part on the periods after the reference has an inverse.
    reach
        v, shape (K,), zero on the periods after the reference.
    m
        A number, 0 or more.
    """

    differences: FloatArray
    reach: FloatArray
    m: float


def smoothness(n_pre: int, n_post: int, m: float) -> Restriction:
    r"""Return :math:`\Delta^{SD}(M)` after the reference: the slope changes by at most M from one period to the next.

    :math:`|(\delta_{t+1} - \delta_t) - (\delta_t - \delta_{t-1})| \le M` with :math:`\delta_0 = 0`. Changes among the
    earlier periods alone say nothing of an effect and are left out, as R ``HonestDiD`` does where there is more than
    one period after the reference; with one, R keeps them and we do not.

    Parameters
    ----------
    n_pre, n_post
        Periods before and after the reference.
    m
        M, in units of the outcome.

    Returns
    -------
    Restriction

    References
    ----------
    Rambachan, A. and Roth, J. (2023). A more credible approach to parallel trends. Review of Economic Studies 90.
    doi:10.1093/restud/rdad018

    Examples
    --------
    >>> smoothness(1, 2, 0.1).differences.tolist()
    [[1.0, 1.0, 0.0], [0.0, -2.0, 1.0]]
    """
    steps = np.diff(np.eye(n_pre + n_post + 1), n=2, axis=0)
    return Restriction(np.delete(steps, n_pre, axis=1)[-n_post:], np.zeros(n_pre + n_post), m)


def relative_magnitudes(n_pre: int, n_post: int, m: float) -> tuple[Restriction, ...]:
    r"""Return the parts whose union is :math:`\Delta^{RM}(\bar M)`: later changes within M-bar of the largest before.

    :math:`|\delta_{t+1}-\delta_t| \le \bar M \max_{s<0} |\delta_{s+1}-\delta_s|` with :math:`\delta_0 = 0`: one part
    for each s and each sign of that change. That the change s is the largest is not imposed, as in R ``HonestDiD``
    where there is more than one period after the reference; with one, R imposes it and we do not.

    Parameters
    ----------
    n_pre, n_post
        Periods before and after the reference.
    m
        M-bar, 0 or more.

    Returns
    -------
    tuple of Restriction
        2 n_pre of them.

    References
    ----------
    Rambachan, A. and Roth, J. (2023). A more credible approach to parallel trends. Review of Economic Studies 90.
    doi:10.1093/restud/rdad018

    Examples
    --------
    >>> [part.reach.tolist() for part in relative_magnitudes(1, 1, 2.0)]
    [[-2.0, 0.0], [2.0, -0.0]]
    """
    steps = np.delete(np.diff(np.eye(n_pre + n_post + 1), axis=0), n_pre, axis=1)
    return tuple(Restriction(steps[n_pre:], sign * m * steps[s], 0.0) for s in range(n_pre) for sign in (1.0, -1.0))
