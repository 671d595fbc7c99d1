"""All sites in one regression: intercepts of their own with clustered errors, and a mixed model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.designs.its.site_fits import SiteFits

FloatArray = NDArray[np.float64]

MOST_ROWS = 5_000
"""Rows beyond which the mixed model is not fitted: its time grows with the number of sites."""


@dataclass(frozen=True, slots=True)
class OneForAll:
    """A regression of all sites.

    Attributes
    ----------
    label
        What it is.
    names
        Names of its columns.
    coefficients, covariance
        Shapes (k,) and (k, k).
    effect
        Weights of the coefficients in the average effect, shape (k,).
    df
        Degrees of freedom of the t reference; None for a normal one.
    """

    label: str
    names: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    effect: FloatArray
    df: int | None

    def number(self, weights: FloatArray, level: float) -> tuple[float, float, float, float, float]:
        """Return a combination of coefficients: estimate, standard error, interval and p-value."""
        value = float(weights @ self.coefficients)
        error = float(np.sqrt(max(float(weights @ self.covariance @ weights), 0.0)))
        tail = (1 - level) / 2
        reach = -float(special.ndtri(tail) if self.df is None else special.stdtrit(self.df, tail)) * error
        z = -abs(value) / error if error > 0 else float("nan")
        p = 2 * float(special.ndtr(z) if self.df is None else special.stdtr(self.df, z))
        return value, error, value - reach, value + reach, p


def regressions(fits: SiteFits) -> tuple[OneForAll, ...]:
    """Return the regressions of all sites on common columns; none for counts on the log scale."""
    if fits.models[0].log_link or len({m.names for m in fits.models}) > 1:
        return ()
    X = np.vstack([m.observed for m in fits.models])
    y = np.concatenate([m.response for m in fits.models])
    sizes = [m.steps.size for m in fits.models]
    codes = np.repeat(np.arange(len(sizes)), sizes)
    effect = np.mean([(m.observed - m.expected)[m.after].mean(axis=0) for m in fits.models], axis=0)
    names = fits.models[0].names
    found = [_own_intercepts(X, y, codes, effect, names)]
    mixed = _mixed(X, y, codes, effect, names) if y.size <= MOST_ROWS else None
    return (*found, *([] if mixed is None else [mixed]))


def _own_intercepts(
    X: FloatArray, y: FloatArray, codes: NDArray[np.int64], effect: FloatArray, names: tuple[str, ...]
) -> OneForAll:
    """Fit an intercept for each site (linearmodels); CR1 errors that count the intercepts as coefficients."""
    from linearmodels.panel import PanelOLS

    place = np.arange(y.size) - np.searchsorted(codes, codes)
    rows = pd.MultiIndex.from_arrays([codes, place])
    model = PanelOLS(
        pd.Series(y, index=rows), pd.DataFrame(X[:, 1:], index=rows, columns=list(names[1:])), entity_effects=True
    )
    fit = model.fit(
        cov_type="clustered", cluster_entity=True, group_debias=True, debiased=True, auto_df=False, count_effects=True
    )
    return OneForAll(
        "one regression, site intercepts, errors clustered by site", names[1:], fit.params.to_numpy(),
        fit.cov.to_numpy(), effect[1:], int(codes[-1]),
    )  # fmt: skip


def _mixed(
    X: FloatArray, y: FloatArray, codes: NDArray[np.int64], effect: FloatArray, names: tuple[str, ...]
) -> OneForAll | None:
    """Fit random intercepts and trends by REML (statsmodels); intercepts alone where trends do not differ."""
    for random, label in ((2, "random intercepts and trends"), (1, "random intercepts")):
        found = random_effects(X, y, codes, X[:, :random])
        if found is not None:
            return OneForAll(f"mixed model, {label}", names, *found, effect, None)
    return None


def random_effects(
    X: FloatArray, y: FloatArray, codes: NDArray[np.int64], random: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    """Return coefficients and covariance of the fixed part by REML; None where the search does not settle."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    k = X.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = MixedLM(y, X, groups=codes, exog_re=random).fit(reml=True)
            matrix = np.asarray(fit.cov_params(), dtype=np.float64)[:k, :k]
        except (ValueError, np.linalg.LinAlgError):
            return None
    settled = bool(fit.converged) and bool(np.isfinite(matrix).all()) and bool((np.diag(matrix) > 0).all())
    return (np.asarray(fit.fe_params, dtype=np.float64), matrix) if settled else None
