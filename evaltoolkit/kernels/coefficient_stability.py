"""Coefficient stability: how far selection on hidden covariates would have to go beyond that on measured ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from evaltoolkit.kernels.omitted_variables import Regression

OSTER_R2: Final = 1.3
"""Oster's suggestion for the R2 that is possible, as a multiple of the R2 with the measured covariates."""


@dataclass(frozen=True, slots=True)
class Oster:
    """Selection on hidden covariates relative to selection on measured ones.

    Attributes
    ----------
    delta
        How strong it must be, relative to the measured ones, to bring the effect to the one asked
        about; negative where hidden
        covariates would have to work the other way; infinite where no strength does.
    adjusted
        Effect if both are equally strong (delta = 1).
    r2
        The R2 that is taken to be possible.
    """

    delta: float
    adjusted: float
    r2: float


def oster(found: Regression, r2: float | None = None, effect: float = 0.0) -> Oster:
    r"""Return Oster's delta, and the effect at delta = 1, from the exact equations.

    With :math:`u` the controlled estimate :math:`\tilde\beta` less the effect it is held against,
    :math:`D = \mathring\beta - \tilde\beta`, :math:`\tau_x` the variance of treatment left by the covariates,
    :math:`A = (\tilde R - \mathring R)\sigma_y^2` and :math:`B = (R_{max} - \tilde R)\sigma_y^2`,

    .. math:: \delta = \frac{u A \tau_x + u \sigma_x^2 \tau_x D^2 + 2 u^2 \tau_x D \sigma_x^2
        + u^3 (\tau_x \sigma_x^2 - \tau_x^2)}{B D \sigma_x^2 + u B (\sigma_x^2 - \tau_x) + u^2 \tau_x D \sigma_x^2
        + u^3 (\tau_x\sigma_x^2 - \tau_x^2)}

    At delta = 1 the cubes cancel and u is a root of a quadratic, of which the one is taken
    that moves the estimate as the measured covariates did, and least.

    Parameters
    ----------
    found
        From ``regression``.
    r2
        R2 that is possible; None for 1.3 times the R2 with covariates, 1 at most.
    effect
        The effect that delta stands for.

    Returns
    -------
    Oster

    References
    ----------
    Oster, E. (2019). Unobservable selection and coefficient stability: theory and evidence. Journal of Business and
    Economic Statistics 37. doi:10.1080/07350015.2016.1227711

    Examples
    --------
    Covariates that explain much of the outcome moved the estimate from 2.2 to 2.0:

    >>> found = oster(Regression(2.0, 0.1, 500, 2.2, 0.6, 0.2, 4.0, 0.25, 0.2))
    >>> round(found.delta, 3), round(found.adjusted, 3), found.r2
    (3.526, 1.875, 0.78)
    """
    top = min(OSTER_R2 * found.r2, 1.0) if r2 is None else r2
    moved = found.short_estimate - found.estimate
    tau, sx = found.treatment_left, found.treatment_variance
    a = (found.r2 - found.short_r2) * found.outcome_variance
    b = (top - found.r2) * found.outcome_variance
    u = found.estimate - effect
    cube = u**3 * (tau * sx - tau**2)
    above = u * a * tau + u * sx * tau * moved**2 + 2 * u**2 * tau * moved * sx + cube
    below = b * moved * sx + u * b * (sx - tau) + u**2 * tau * moved * sx + cube
    delta = above / below if below != 0 else float(np.copysign(np.inf, above))
    return Oster(delta=float(delta), adjusted=found.estimate - _off(moved, tau, sx, a, b), r2=top)


def _off(moved: float, tau: float, sx: float, a: float, b: float) -> float:
    """Return u at delta = 1: root of u^2 tau D sx + u (a tau + sx tau D^2 - b (sx - tau)) - b D sx = 0."""
    square, linear, constant = tau * moved * sx, a * tau + sx * tau * moved**2 - b * (sx - tau), -b * moved * sx
    if square == 0:
        return -constant / linear if linear != 0 else 0.0
    roots = np.roots([square, linear, constant]).real
    # Hidden covariates like the measured ones move the estimate on, away from the uncontrolled one.
    onward = [float(r) for r in roots if r * moved >= 0] or [float(r) for r in roots]
    return min(onward, key=abs)
