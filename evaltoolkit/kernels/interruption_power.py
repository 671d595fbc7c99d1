"""How sure a series of a given length and autocorrelation is to show a change of a given size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.autoregression import precision_sums, whitening

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ErrorsAhead:
    """What the errors of a series are taken to be: autocorrelation and marginal standard deviation."""

    rho: float
    spread: float


def errors_of_effect(
    design: FloatArray, contrast: FloatArray, steps: IntArray, rho: FloatArray, spread: FloatArray
) -> FloatArray:
    r"""Return ``error_of_effect`` for many autocorrelations and standard deviations at once, shape (G,).

    Parameters
    ----------
    design, contrast, steps
        As for ``error_of_effect``.
    rho, spread
        :math:`\rho` and :math:`\sigma`, shape (G,).

    References
    ----------
    As for ``error_of_effect``.

    Examples
    --------
    >>> t = np.arange(48)
    >>> X = np.column_stack([np.ones(48), t, t >= 24, (t - 24) * (t >= 24)])
    >>> errors_of_effect(X, np.array([0.0, 0, 1, 0]), t, np.array([0.0, 0.3]), np.ones(2)).round(4).tolist()
    [0.5781, 0.7145]
    """
    q, r = np.linalg.qr(design.astype(np.float64))
    row = np.linalg.solve(r.T, contrast)
    gram = np.tensordot(*precision_sums(q, steps, rho), axes=1)
    solved = np.linalg.solve(gram, np.broadcast_to(row[:, None], (rho.size, row.size, 1)))[:, :, 0]
    return np.asarray(spread * np.sqrt((1 - rho**2) * (solved @ row)))


def error_of_effect(design: FloatArray, contrast: FloatArray, steps: IntArray, errors: ErrorsAhead) -> float:
    r"""Return :math:`\sigma \sqrt{c'(X'R^{-1}X)^{-1}c}`, the standard error that generalized least squares will have.

    R has the correlations :math:`\rho^{|t-s|}` of a first-order autoregression with known :math:`\rho`.

    Parameters
    ----------
    design, contrast
        Columns of the regression, shape (n, k), and the weights of what is asked, shape (k,).
    steps
        Period of each row, shape (n,).
    errors
        :math:`\rho` and :math:`\sigma`.

    References
    ----------
    Hawley, S., Ali, M., Berencsi, K., Judge, A. and Prieto-Alhambra, D. (2019). Sample size and power considerations
    for ordinary least squares interrupted time series analysis: a simulation study. Clinical Epidemiology 11.
    doi:10.2147/CLEP.S176723

    Examples
    --------
    >>> t = np.arange(48)
    >>> X = np.column_stack([np.ones(48), t, t >= 24, (t - 24) * (t >= 24)])
    >>> round(error_of_effect(X, np.array([0.0, 0, 1, 0]), t, ErrorsAhead(0.3, 1.0)), 4)
    0.7145
    """
    keep, carry = whitening(steps, errors.rho)
    before = np.vstack([np.zeros((1, design.shape[1])), design[:-1]])
    upper = np.linalg.qr(keep[:, None] * (design - carry[:, None] * before))[1]
    # Whitened rows have the variance sigma^2 (1 - rho^2).
    solved = np.linalg.solve(upper.T, contrast)
    return errors.spread * float(np.sqrt((1 - errors.rho**2) * (solved @ solved)))
