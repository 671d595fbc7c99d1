"""Scores by boosted trees (scikit-learn), with as many trees as balance the covariates best."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.errors import SetupError
from evaltoolkit.kernels.score_weights import Estimand, score_weights

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

_TREES, _EVERY = 400, 5
# Trees of few leaves and small steps, as twang has them: interactions of three covariates.
_SETTINGS: dict[str, Any] = {
    "learning_rate": 0.05, "max_iter": _TREES, "max_leaf_nodes": 8, "min_samples_leaf": 10, "early_stopping": False,
}  # fmt: skip
# Trees may put a probability at the edge, where weights would not be finite.
_EDGE = 1e-6


def boosted_probability(X: FloatArray, treated: Mask, estimand: Estimand, seed: int) -> tuple[FloatArray, int]:
    """Return the score and the number of trees.

    Up to 400 trees of 8 leaves are grown in steps of 0.05. Of every fifth number of trees the one is taken under whose
    weights the mean absolute standardized difference of the covariates is least.

    Parameters
    ----------
    X
        Covariates, shape (n, k).
    treated
        Shape (n,).
    estimand
        Whose effect: it decides the weights that are to balance.
    seed
        Of the trees.

    Returns
    -------
    tuple
        Probabilities, shape (n,), and the number of trees.

    Raises
    ------
    SetupError
        scikit-learn is not installed.

    References
    ----------
    McCaffrey, D., Ridgeway, G. and Morral, A. (2004). Propensity score estimation with boosted regression for
    evaluating causal effects in observational studies. Psychological Methods 9. doi:10.1037/1082-989X.9.4.403
    """
    model = _classifier(seed).fit(X, treated)
    spread = X.std(axis=0)
    Z = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    best, trees, chosen = np.inf, 0, np.full(treated.size, treated.mean())
    for count, both in enumerate(model.staged_predict_proba(X), start=1):
        if count % _EVERY:
            continue
        p = np.clip(both[:, 1], _EDGE, 1 - _EDGE)
        w, _ = score_weights(p, treated, estimand)
        one, other = w * treated, w * ~treated
        apart = float(np.abs(one @ Z / one.sum() - other @ Z / other.sum()).mean())
        if apart < best:
            best, trees, chosen = apart, count, p
    return chosen, trees


def boosted_predictor(X: FloatArray, treated: Mask, at: FloatArray, trees: int, seed: int) -> FloatArray:
    """Return probabilities of others from a given number of trees, for cross-fitting."""
    model = _classifier(seed, max_iter=trees).fit(X, treated)
    return np.clip(np.asarray(model.predict_proba(at)[:, 1], dtype=np.float64), _EDGE, 1 - _EDGE)


def _classifier(seed: int, **changes: Any) -> Any:
    try:
        ensemble = importlib.import_module("sklearn.ensemble")
    except ImportError as error:
        raise SetupError(
            "distance = 'boosted' needs scikit-learn, which is not installed", expected="scikit-learn 1.4 or later",
            todo="run: pip install 'evaltoolkit[boosted]', or use distance = 'logit'", where="distance",
        ) from error  # fmt: skip
    return ensemble.HistGradientBoostingClassifier(random_state=seed % 2**32, **(_SETTINGS | changes))
