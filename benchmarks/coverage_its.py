"""How often intervals of a short interrupted time series hold the truth, and how long they are.

Run ``python benchmarks/coverage_its.py`` (some minutes on one core); it writes ``docs/coverage_its.md``. With
``--draws 200`` it prints a quick look and writes nothing.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal, special

from evaltoolkit.kernels.autoregression import GRID
from evaltoolkit.kernels.autoregression_batch import marginal_ar1_batch, marginal_ar1_each, newey_west_batch
from evaltoolkit.kernels.autoregression_wide_batch import marginal_ar2_batch, marginal_seasonal_ar_batch
from evaltoolkit.kernels.count_regression import poisson
from evaltoolkit.kernels.newey_west import lag_by_rule, newey_west
from evaltoolkit.kernels.prais_winsten import prais_winsten

SEED = 20261101
DRAWS = 4000
PAGE = Path(__file__).parents[1] / "docs" / "coverage_its.md"
PICK = np.eye(4)[2:]
CYCLE = 12
WARM = 400

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Ends:
    """Ends of the intervals of level and slope of each draw, shape (S, 2)."""

    low: Array
    high: Array

    def cells(self, truth: Array) -> tuple[str, str]:
        """Return coverage and mean length, of level and of slope."""
        inside = ((self.low <= truth) & (truth <= self.high)).mean(axis=0)
        length = (self.high - self.low).mean(axis=0)
        return tuple(f"{100 * c:.1f} ({n:.3g})" for c, n in zip(inside, length, strict=True))  # type: ignore[return-value]


def design(n: int) -> Array:
    t = np.arange(n)
    late = (t >= n // 2).astype(float)
    return np.column_stack([np.ones(n), t, late, (t - n // 2) * late])


def process(rng: np.random.Generator, draws: int, n: int, ar: list[float]) -> Array:
    """Stationary autoregressions with innovations of variance one."""
    noise = rng.normal(size=(draws, n + WARM))
    return np.asarray(signal.lfilter([1.0], [1.0, *(-a for a in ar)], noise, axis=1)[:, WARM:])


def seasonal(rho: float, phi: float) -> list[float]:
    """Coefficients of a first-order times a yearly autoregression."""
    return (-np.convolve([1.0, -rho], [1.0, *[0.0] * (CYCLE - 1), -phi])[1:]).tolist()


def default(Y: Array, X: Array) -> Ends:
    found = marginal_ar1_batch(Y, X, np.arange(len(X)), PICK)
    return Ends(found.low, found.high)


def second(Y: Array, X: Array) -> Ends:
    found = marginal_ar2_batch(Y, X, np.arange(len(X)), PICK)
    return Ends(found.low, found.high)


def yearly(Y: Array, X: Array) -> Ends:
    found = marginal_seasonal_ar_batch(Y, X, np.arange(len(X)), PICK, cycle=CYCLE)
    return Ends(found.low, found.high)


def hac(lags: int | None) -> Callable[[Array, Array], Ends]:
    def _ends(Y: Array, X: Array) -> Ends:
        used = lag_by_rule(len(X)) if lags is None else lags
        found = newey_west_batch(Y, X, np.arange(len(X)), PICK, lags=used)
        return Ends(found.low, found.high)

    return _ends


def least_squares(Y: Array, X: Array) -> Ends:
    n, k = X.shape
    b = np.linalg.lstsq(X, Y.T, rcond=None)[0].T
    s2 = ((Y - b @ X.T) ** 2).sum(axis=1) / (n - k)
    reach = -special.stdtrit(n - k, 0.025) * np.sqrt(np.outer(s2, np.diag(np.linalg.inv(X.T @ X))[2:]))
    return Ends(b[:, 2:] - reach, b[:, 2:] + reach)


def prais(Y: Array, X: Array) -> Ends:
    fits = [prais_winsten(X, y, np.arange(len(X)), "tscorr") for y in Y[: len(Y) // 4]]
    reach = -special.stdtrit(len(X) - 4, 0.025) * np.array([np.sqrt(np.diag(f.covariance)[2:]) for f in fits])
    b = np.array([f.coefficients[2:] for f in fits])
    return Ends(b - reach, b + reach)


def plug_in(Y: Array, X: Array) -> Ends:
    """Restricted likelihood of a first-order autoregression, at its largest value on the grid."""
    n, k = X.shape
    best, centre, error = np.full(len(Y), -np.inf), np.zeros((len(Y), 2)), np.zeros((len(Y), 2))
    for rho in GRID:
        W = np.eye(n) - rho * np.eye(n, k=-1)
        W[0, 0] = np.sqrt(1 - rho**2)
        q, r = np.linalg.qr(W @ X)
        Z = Y @ W.T
        turned = Z @ q
        s2 = ((Z**2).sum(axis=1) - (turned**2).sum(axis=1)) / (n - k)
        value = -(n - k) / 2 * np.log(s2) + np.log1p(-(rho**2)) / 2 - np.log(np.abs(np.diag(r))).sum()
        better = value > best
        inverse = np.linalg.inv(r)
        best = np.where(better, value, best)
        centre[better] = (turned[better] @ inverse.T)[:, 2:]
        error[better] = np.sqrt(np.outer(s2[better], (inverse**2).sum(axis=1)[2:]))
    reach = -special.stdtrit(n - k, 0.025) * error
    return Ends(centre - reach, centre + reach)


GAUSSIAN: dict[str, Callable[[Array, Array], Ends]] = {
    "**default**, AR(1) averaged": default,
    "AR(1), REML plugged in": plug_in,
    "Prais-Winsten": prais,
    "least squares": least_squares,
    "Newey-West, 1 lag": hac(1),
    "Newey-West, rule of thumb": hac(None),
}
WIDE = {"**default**, AR(1) averaged": default, "AR(2) averaged": second, "AR(1) x seasonal averaged": yearly}


def counts(rng: np.random.Generator, draws: int, n: int, mean: float, kind: str, level: float) -> Array:
    """Counts whose rate is multiplied from the middle on by exp(level)."""
    expected = mean * np.exp(level * (np.arange(n) >= n // 2))
    if kind == "Poisson":
        rate = np.broadcast_to(expected, (draws, n))
    elif kind == "negative binomial, alpha 0.5":
        rate = expected * rng.gamma(2.0, 0.5, (draws, n))
    else:
        latent = 0.5 * np.sqrt(0.75) * process(rng, draws, n, [0.5])
        rate = expected * np.exp(latent - 0.125)
    return rng.poisson(rate).astype(float)


def count_methods(Y: Array, X: Array) -> dict[str, Ends]:
    steps, zero = np.arange(len(X)), np.zeros(len(X))
    fit = poisson(X, Y, zero)
    mu, b = fit.expected, fit.coefficients
    root = np.sqrt(mu)
    working = root * (b @ X.T + (Y - mu) / mu)
    found = marginal_ar1_each(working, root[:, :, None] * X, steps, PICK)
    bread = np.linalg.inv(np.einsum("sn,ni,nj->sij", mu, X, X))
    poisson_error = np.sqrt(np.diagonal(bread, axis1=1, axis2=2)[:, 2:])
    spread = ((Y - mu) ** 2 / mu).sum(axis=1) / (len(X) - 4)
    t = -float(special.stdtrit(len(X) - 4, 0.025))
    reach = {"Poisson": 1.959964 * poisson_error, "quasi-Poisson, t": t * np.sqrt(spread)[:, None] * poisson_error}
    for lags in (1, 3):
        hacs = [newey_west(X * (y - m)[:, None], B, lags, steps) for y, m, B in zip(Y, mu, bread, strict=True)]
        reach[f"score Newey-West, {lags} lag{'s' * (lags > 1)}"] = t * np.sqrt([np.diag(V)[2:] for V in hacs])
    centre = b[:, 2:]
    return {"**default**, AR(1) averaged": Ends(found.low, found.high)} | {
        name: Ends(centre - r, centre + r) for name, r in reach.items()
    }


def drawn(draws: int, made: Callable[[], Array], X: Array) -> tuple[Array, float]:
    """Draw until so many series allow an estimate; return them and the share that did not."""
    kept, tried = [], 0
    while sum(len(k) for k in kept) < draws:
        Y = made()
        tried += len(Y)
        kept.append(Y[poisson(X, Y, np.zeros(len(X))).exists])
    lost = 1 - sum(len(k) for k in kept) / tried
    return np.concatenate(kept)[:draws], lost


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def gaussian_table(draws: int) -> str:
    rows = []
    for n in (24, 36, 60):
        for rho in (0.0, 0.4, 0.8):
            rng = np.random.default_rng([SEED, 1, n, int(10 * rho)])
            Y, X = process(rng, draws, n, [rho]), design(n)
            made = {name: method(Y, X).cells(np.zeros(2)) for name, method in GAUSSIAN.items()}
            rows += [
                [f"{n}, {rho:g}", part, *(c[i] for c in made.values())] for i, part in enumerate(("level", "slope"))
            ]
            print(rows[-2:], flush=True)
    return markdown(["Periods, rho", "", *GAUSSIAN], rows)


DEPARTURES: tuple[tuple[str, list[float]], ...] = (
    ("AR(2) 0.3, 0.3", [0.3, 0.3]), ("AR(2) 0.2, 0.6", [0.2, 0.6]), ("AR(2) 0.4, −0.4", [0.4, -0.4]),
    ("AR(2) 1.2, −0.5", [1.2, -0.5]), ("rho 0, seasonal 0.4", seasonal(0.0, 0.4)),
    ("rho 0.4, seasonal 0.4", seasonal(0.4, 0.4)), ("rho 0.4, seasonal 0.8", seasonal(0.4, 0.8)),
    ("rho 0.4", [0.4]), ("rho 0.8", [0.8]),
)  # fmt: skip


def departure_table(draws: int) -> str:
    rows = []
    for n in (36, 60, 96):
        for j, (name, ar) in enumerate(DEPARTURES):
            rng = np.random.default_rng([SEED, 2, n, j])
            Y, X = process(rng, draws, n, ar), design(n)
            made = {m: method(Y, X).cells(np.zeros(2)) for m, method in WIDE.items()}
            rows += [
                [f"{n}, {name}", part, *(c[i] for c in made.values())] for i, part in enumerate(("level", "slope"))
            ]
            print(rows[-2:], flush=True)
    return markdown(["Periods, errors", "", *WIDE], rows)


KINDS = ("Poisson", "negative binomial, alpha 0.5", "log-normal AR 0.5")


def count_table(draws: int, sizes: tuple[int, ...], means: tuple[float, ...], level: float) -> str:
    rows, names = [], [""]
    for n in sizes:
        for mean in means:
            for j, kind in enumerate(KINDS):
                rng = np.random.default_rng([SEED, 3, n, int(100 * mean), j])
                X = design(n)
                Y, lost = drawn(draws, functools.partial(counts, rng, draws, n, mean, kind, level), X)
                made = {m: e.cells(np.array([level, 0.0])) for m, e in count_methods(Y, X).items()}
                names = list(made)
                left = f"; none {100 * lost:.1f}" if lost >= 0.0005 else ""
                title = f"{n}, {mean:g}, {kind}{left}"
                rows += [[title, part, *(c[i] for c in made.values())] for i, part in enumerate(("level", "slope"))]
                print(rows[-2:], flush=True)
    return markdown(["Periods, mean, counts", "", *names], rows)


INTRODUCTION = """\
# Coverage of an interrupted time series

Written by `benchmarks/coverage_its.py`: {draws:,} draws a cell ({fewer:,} under other dependence), seed {seed}. Each
cell is the share of 95 % intervals that hold the truth, in percent, and in brackets their mean length. The Monte Carlo
standard error of 95 % is 0.35 points with 4,000 draws and 0.49 with 2,000. The interruption is in the middle of the
series; the model has an intercept, a trend, a change of level and a change of slope.

The default (`errors = "marginal-ar1"`) fits the model for 83 autocorrelations and averages over them by their
restricted likelihood; its intervals are quantiles of a mixture of t distributions. The other columns are what `errors`
can be set to, and the plug-in that the default replaces; Prais-Winsten is on the first quarter of the draws.

Intervals that take the autocorrelation for known, or estimate it from the residuals of so few periods, are too short,
and the more so the stronger it is. Where the series is short and the autocorrelation low, the default's interval of
the slope is conservative. That is the price of holding it where the autocorrelation is high, which a short series
cannot tell apart: with a flat prior of rho the slope's coverage at 24 periods stays at 97 % for rho 0 and falls from 93
to 89 % for rho 0.8 (5,000 draws).
"""

OTHER = """\
The default allows for a first-order autoregression. Where periods two apart resemble one another beyond that (a
positive second coefficient), it is too short; `errors = "marginal-ar2"` holds there, and costs little where it is not
needed. A yearly rhythm in the errors that is not in the model makes the default too long in series of a few years, and
too short for the slope in long ones; `errors = "marginal-seasonal-ar"` (12 periods here) follows it, and where the
default is too long its intervals are shorter by a sixth to a half.
"""

COUNTS = """\
Counts by their working response at the Poisson fit. No effect; "none" is the share of series, in percent, that allow no
estimate because one side, or one end, has no events; they are drawn again.
"""

SMALL = """\
A mean below one event a period, with the rate doubled from the middle on. The default still holds. Where a side has no
events at all no ratio can be estimated by it; `errors = "exact"` compares the totals before and after instead.
"""


def page(draws: int) -> str:
    fewer = draws // 2
    parts = [INTRODUCTION.format(draws=draws, fewer=fewer, seed=SEED)]
    parts.append(f"## First-order autoregression\n\n{gaussian_table(draws)}\n")
    parts.append(f"## Other dependence\n\n{OTHER}\n{departure_table(fewer)}\n")
    parts.append(f"## Counts\n\n{COUNTS}\n{count_table(draws, (24, 36, 60), (2, 8), 0.0)}\n")
    parts.append(f"## Very small counts\n\n{SMALL}\n{count_table(draws, (36, 60), (0.3, 0.7), float(np.log(2)))}\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=DRAWS)
    draws = parser.parse_args().draws
    began = time.perf_counter()
    text = page(draws)
    if draws == DRAWS:
        PAGE.write_text(text, encoding="utf-8")
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
