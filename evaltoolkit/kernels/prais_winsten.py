"""Regression with first-order autoregressive errors by Prais and Winsten's iterated least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.autoregression import whitening
from evaltoolkit.kernels.least_squares import least_squares

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
RhoType = Literal["regress", "tscorr"]

_CLOSE: Final = 1e-10
_ROUNDS: Final = 500


@dataclass(frozen=True, slots=True)
class PraisWinsten:
    """A regression of n periods on k columns.

    Attributes
    ----------
    coefficients
        Shape (k,).
    covariance
        RSS/(n-k) (X*'X*)^-1 of the transformed rows, shape (k, k).
    robust
        The sandwich of the transformed rows times n/(n-k) (HC1), shape (k, k).
    rho
        Autocorrelation at the last round.
    rounds
        Rounds until it moved by less than 1e-10.
    whitened
        Residuals of the transformed rows, shape (n,).
    df
        n - k.
    """

    coefficients: FloatArray
    covariance: FloatArray
    robust: FloatArray
    rho: float
    rounds: int
    whitened: FloatArray
    df: int


def prais_winsten(
    design: FloatArray, outcome: FloatArray, steps: IntArray, rho_type: RhoType = "regress"
) -> PraisWinsten:
    r"""Iterate between :math:`\rho` from the residuals and least squares on transformed rows, the first row kept.

    ``regress``: :math:`\rho = \sum e_t e_{t-1} / \sum e_{t-1}^2` over pairs one period apart; ``tscorr``:
    :math:`\sum e_t e_{t-1} / \sum e_t^2`. The first row is multiplied by :math:`\sqrt{1-\rho^2}`, the others become
    :math:`y_t - \rho y_{t-1}`; rows d periods apart use :math:`\rho^d`. As Stata ``prais`` and R ``prais``.

    Parameters
    ----------
    design
        Shape (n, k), of full column rank.
    outcome
        Shape (n,).
    steps
        Period of each row, whole numbers that rise, shape (n,).
    rho_type
        How the autocorrelation is estimated.

    Returns
    -------
    PraisWinsten

    Raises
    ------
    ValueError
        The autocorrelation left (-1, 1), or did not settle.

    References
    ----------
    Prais, S. and Winsten, C. (1954). Trend estimators and serial correlation. Cowles Commission Discussion Paper 383.

    Examples
    --------
    >>> t = np.arange(30)
    >>> fit = prais_winsten(np.column_stack([np.ones(30), t]), 2 + 0.5 * t + np.cos(0.7 * t), t)
    >>> fit.coefficients.round(1).tolist(), round(fit.rho, 2), fit.df
    ([2.3, 0.5], 0.77, 28)
    """
    fit = least_squares(design, outcome)
    residuals, rho = fit.residuals, 0.0
    apart = np.diff(steps) == 1
    before = np.vstack([np.zeros(design.shape[1]), design[:-1]])
    last = np.concatenate([[0.0], outcome[:-1]])
    for done in range(_ROUNDS):
        found = _rho(residuals, apart, rho_type)
        if not abs(found) < 1:
            raise ValueError("the autocorrelation left the range from -1 to 1")
        keep, carry = whitening(steps, found)
        X, y = keep[:, None] * (design - carry[:, None] * before), keep * (outcome - carry * last)
        fit = least_squares(X, y)
        residuals = outcome - design @ fit.coefficients
        rounds, moved, rho = done + 1, abs(found - rho), found
        if moved < _CLOSE:
            break
    else:
        raise ValueError("the autocorrelation did not settle")
    n, k = design.shape
    s2 = float(fit.residuals @ fit.residuals) / (n - k)
    robust = n / (n - k) * fit.bread @ (fit.scores.T @ fit.scores) @ fit.bread
    return PraisWinsten(fit.coefficients, s2 * fit.bread, robust, rho, rounds, fit.residuals, n - k)


def _rho(e: FloatArray, apart: NDArray[np.bool_], rho_type: RhoType) -> float:
    product = float((e[1:] * e[:-1])[apart].sum())
    below = float((e[:-1][apart] ** 2).sum()) if rho_type == "regress" else float(e @ e)
    return product / below if below > 0 else 0.0
