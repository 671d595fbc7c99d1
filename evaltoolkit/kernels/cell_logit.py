"""The logit of being in a cohort, by Newton's method over blocks of rows."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

BLOCK = 1536
"""Rows worked on at once: temporary arrays stay in the cache, and products are too small for threads of OpenBLAS."""
_ITERATIONS = 40


def spans(parts: list[slice]) -> Iterator[slice]:
    """Cut slices into blocks, whose temporary arrays stay in the cache.

    >>> [(s.start, s.stop) for s in spans([slice(0, 3), slice(5, 3000)])]
    [(0, 3), (5, 1541), (1541, 3000)]
    """
    for part in parts:
        for at in range(part.start, part.stop, BLOCK):
            yield slice(at, min(at + BLOCK, part.stop))


def solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Return the solution of a small system; unlike SciPy's by a factored matrix it starts no threads.

    >>> solve(np.array([[2.0]]), np.array([6.0])).tolist()
    [3.0]
    """
    return np.asarray(np.linalg.solve(matrix, right), dtype=np.float64)


def newton(
    sample: list[tuple[FloatArray, FloatArray, float]], beta: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    """Return coefficients and information of a logit; None where they do not exist.

    Parameters
    ----------
    sample
        Parts with covariates, shape (k, rows), weights, shape (rows,), and whether all of their rows are treated.
    beta
        Where to begin, shape (k,).

    Examples
    --------
    >>> one = np.ones((1, 3))
    >>> newton([(one, np.ones(3), 1.0), (one, np.full(3, 3.0), 0.0)], np.zeros(1))[0].round(6).tolist()  # log(1 / 3)
    [-1.098612]
    """
    path = newton_path(beta)
    try:
        at = next(path)
        while True:
            at = path.send(_likelihood(sample, at[0], careful=at[1]))
    except StopIteration as end:
        found: tuple[FloatArray, FloatArray] | None = end.value
        return found


Likelihood = tuple[FloatArray, FloatArray, float]
"""Gradient, shape (k,), information, shape (k, k), and value of a log-likelihood (anything where nobody is careful)."""


def newton_path(
    beta: FloatArray,
) -> Generator[tuple[FloatArray, bool], Likelihood, tuple[FloatArray, FloatArray] | None]:
    """Say where the likelihood of a logit is wanted next, until coefficients and information are returned.

    Whoever holds the rows answers: many logits can be followed side by side, one look at the rows for a step of all.

    Parameters
    ----------
    beta
        Where to begin, shape (k,).

    Yields
    ------
    tuple
        Coefficients, and whether the value of the log-likelihood is wanted with its derivatives.

    Examples
    --------
    >>> path = newton_path(np.zeros(1))
    >>> beta, careful = next(path)
    >>> for _ in range(5):  # two of four are treated at coefficient zero, three of four at log(3)
    ...     p = float(chance(beta)[0])
    ...     try:
    ...         beta, careful = path.send((np.array([3 - 4 * p]), np.array([[4 * p * (1 - p)]]), 0.0))
    ...     except StopIteration as end:
    ...         print(end.value[0].round(6))
    [1.098612]
    """
    step, value = np.zeros(beta.size), -np.inf
    done = False
    for _ in range(_ITERATIONS):
        careful = not done and float(np.abs(step).max(initial=0.0)) > 0.5
        gradient, H, now = yield beta, careful
        if careful and now < value - 1e-9 * abs(value):
            step = step / 2
            beta = beta - step
            continue
        value = now if careful else -np.inf
        try:
            np.linalg.cholesky(H)  # says no where H is not positive definite
            step = solve(H, gradient)
        except np.linalg.LinAlgError:
            return None
        beta = beta + step
        if done:
            return beta, H
        # The error after this step is of the order of its square, and one more follows.
        done = float(np.abs(step).max()) < 2e-5 * max(1.0, float(np.abs(beta).max()))
    return None


def chance(line: FloatArray) -> FloatArray:
    """Return the logistic function, as ``scipy.special.expit`` does in three times the time.

    >>> chance(np.array([0.0, -800.0])).round(9).tolist()
    [0.5, 0.0]
    """
    found: FloatArray = 1.0 / (1.0 + np.exp(np.minimum(-line, 700.0)))
    return found


def _likelihood(sample: list[tuple[FloatArray, FloatArray, float]], beta: FloatArray, *, careful: bool) -> Likelihood:
    """Return gradient, information and, where one is careful, the value of a logit's log-likelihood."""
    gradient, H, value = np.zeros(beta.size), np.zeros((beta.size, beta.size)), 0.0
    for X, w, d in sample:
        for s in spans([slice(0, w.size)]):
            x, v = X[:, s], w[s]
            p = chance(beta @ x)
            gradient += x @ (v * (d - p))
            H += (x * (v * p * (1 - p))) @ x.T
            if careful:
                value += float(v @ np.log(np.maximum(p if d else 1 - p, 1e-300)))
    return gradient, H, value


def blamed(X: FloatArray, treated: NDArray[np.bool_]) -> int:
    """Return the column that tells the cohort apart by itself, or 0 where only a combination does.

    >>> blamed(np.array([[1.0, 5], [1, 6], [1, 7]]), np.array([False, True, True]))
    1
    """
    for j in range(1, X.shape[1]):
        mine, theirs = X[treated, j], X[~treated, j]
        if mine.max() <= theirs.min() or theirs.max() <= mine.min():
            return j
    return 0
