"""Composition, attrition and overlap beside regressions, plain shares and statsmodels' logit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.composition import CompositionError, attrition, composition
from evaltoolkit.kernels.composition_overlap import QUANTILES, overlap

PERIODS = np.array([1, 2, 3, 4])


def world(seed: int = 0, n: int = 60, holes: float = 0.3) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    treated = np.arange(n) % 3 == 0
    x = rng.normal(size=(n, 4, 2)) + 0.2 * np.arange(4)[:, None]
    x[:, :, 1] = x[:, :, 1] > 0
    observed = rng.random((n, 4)) >= holes
    return observed, x, treated, np.arange(n) // 2, rng.uniform(0.5, 2, n)


def interaction(
    x: np.ndarray, observed: np.ndarray, treated: np.ndarray, t: int, clusters: np.ndarray, w: np.ndarray
) -> tuple[float, float]:
    """Coefficient and clustered error of group times period in a regression on the two periods."""
    unit, period = np.nonzero(observed[:, [0, t]])
    later = (period == 1).astype(float)
    d = treated[unit].astype(float)
    fit = sm.WLS(x[:, [0, t]][unit, period], np.column_stack([np.ones(d.size), d, later, d * later]), weights=w[unit])
    X = fit.exog * np.sqrt(w[unit])[:, None]
    found = fit.fit()
    scores = X * (found.wresid)[:, None]
    sums = np.array([scores[clusters[unit] == c].sum(axis=0) for c in np.unique(clusters)])
    bread = np.linalg.inv(X.T @ X)
    size = np.unique(clusters).size
    return float(found.params[3]), float(np.sqrt((bread @ (sums.T @ sums) @ bread)[3, 3] * size / (size - 1)))


def test_drift_is_an_interaction() -> None:
    observed, x, treated, clusters, w = world()
    found = composition(observed, x, treated, 0, clusters, w)
    for j in range(2):
        for t in (1, 2, 3):
            estimate, se = interaction(x[:, :, j], observed, treated, t, clusters, w)
            assert found.drift[t, j] * found.denominator[j] == pytest.approx(estimate, abs=1e-12)
            assert found.std_error[t, j] * found.denominator[j] == pytest.approx(se, abs=1e-12)
    assert (found.drift[0] == 0).all()
    assert (found.std_error[0] == 0).all()
    assert found.df == 29
    assert found.test is not None
    assert found.test.q == 6


def test_means_and_shares() -> None:
    observed, x, treated, _, w = world(1)
    found = composition(observed, x, treated, 2, None, w)
    for g, side in enumerate((treated, ~treated)):
        for t in range(4):
            rows = side & observed[:, t]
            assert found.n[g, t] == rows.sum()
            assert found.mean[g, t] == pytest.approx(np.average(x[rows, t], axis=0, weights=w[rows]), abs=1e-12)
            change = found.mean[g, t] - found.mean[g, 2]
            assert found.smd[g, t] == pytest.approx(change / found.denominator, abs=1e-12)
    mine = np.array([w[treated & observed[:, t]].sum() / w[observed[:, t]].sum() for t in range(4)])
    assert found.share == pytest.approx(mine, abs=1e-12)
    p = [found.mean[g, 2, 1] for g in (0, 1)]
    assert found.denominator[1] == pytest.approx(np.sqrt((p[0] * (1 - p[0]) + p[1] * (1 - p[1])) / 2), abs=1e-12)


def test_nothing_changes_where_everybody_stays() -> None:
    _, x, treated, _, _ = world(2)
    found = composition(np.ones((60, 4), dtype=np.bool_), x[:, :1], treated, 0)
    assert (found.drift == 0).all()
    assert found.test is None


def test_losing_the_old_is_seen() -> None:
    rng = np.random.default_rng(3)
    age, treated = rng.normal(size=(400, 1, 1)), np.arange(400) % 2 == 0
    observed = np.ones((400, 4), dtype=np.bool_)
    observed[:, 3] = ~(treated & (age[:, 0, 0] > 0.5))
    found = composition(observed, age, treated, 0)
    assert found.drift[3, 0] < -0.3
    assert found.test is not None
    assert found.test.p_value < 1e-6
    lost = attrition(observed, treated, 0)
    assert lost.test is not None
    assert lost.test.p_value < 1e-6


def test_a_missing_covariate_leaves_out_a_value() -> None:
    observed, x, treated, _, w = world(4)
    gone, less = x.copy(), observed.copy()
    gone[7, 2], less[7, 2] = np.nan, False
    one, two = composition(observed, gone, treated, 0, None, w), composition(less, x, treated, 0, None, w)
    assert one.drift == pytest.approx(two.drift, abs=1e-14)
    assert one.n[:, 2].sum() == two.n[:, 2].sum() + observed[7, 2]


def test_repeated_cross_sections() -> None:
    rng = np.random.default_rng(5)
    when = rng.integers(0, 4, 200)
    observed = when[:, None] == np.arange(4)
    x, treated = rng.normal(size=(200, 1, 2)), rng.random(200) < 0.4
    found = composition(observed, x, treated, 0)
    rows = [treated & (when == t) for t in (0, 3)] + [~treated & (when == t) for t in (0, 3)]
    a, b, c, d = (x[r, 0, 0] for r in rows)
    variance = sum(v.var() / v.size for v in (a, b, c, d)) * 200 / 199
    assert found.std_error[3, 0] * found.denominator[0] == pytest.approx(np.sqrt(variance), abs=1e-12)
    assert found.drift[3, 0] * found.denominator[0] == pytest.approx(b.mean() - a.mean() - d.mean() + c.mean())
    assert attrition(observed, treated, 0).test is None  # nobody is seen again


def test_attrition_is_a_difference_of_shares() -> None:
    observed, _, treated, clusters, w = world(6)
    found = attrition(observed, treated, 1)
    seen = observed[:, 1]
    for t in (0, 2, 3):
        p = [1 - observed[seen & s, t].mean() for s in (treated, ~treated)]
        n = [(seen & s).sum() for s in (treated, ~treated)]
        assert found.rate[:, t] == pytest.approx(p, abs=1e-12)
        size = seen.sum()
        variance = sum(q * (1 - q) / m for q, m in zip(p, n, strict=True)) * size / (size - 1)
        assert found.std_error[t] == pytest.approx(np.sqrt(variance), abs=1e-12)
    assert found.n.tolist() == n
    assert found.rate[:, 1].tolist() == [0, 0]
    assert found.test is not None
    assert found.test.q == 3
    # Two copies of every unit in one cluster are one unit.
    twice = np.repeat(np.arange(60), 2)
    both = attrition(observed[twice], treated[twice], 1, twice)
    assert both.std_error == pytest.approx(found.std_error, abs=1e-12)
    grouped = attrition(observed, treated, 1, clusters, w)
    assert grouped.df == np.unique(clusters[seen]).size - 1


def test_attrition_test_holds_its_level() -> None:
    rng = np.random.default_rng(7)
    rejected = 0
    for _ in range(400):
        observed = rng.random((80, 3)) < 0.75
        test = attrition(observed, np.arange(80) % 2 == 0, 0).test
        assert test is not None
        rejected += test.p_value < 0.05
    assert 8 <= rejected <= 34  # 20 expected; four standard errors of 4.4 below, three above


def test_nobody_in_the_base_period() -> None:
    observed, x, treated, _, _ = world(8)
    observed[~treated, 0] = False
    for call in (lambda: composition(observed, x, treated, 0), lambda: attrition(observed, treated, 0)):
        with pytest.raises(CompositionError) as caught:
            call()
        assert caught.value.group == 1


def scored(seed: int = 0, n: int = 200, *, moving: bool = False) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    start = np.array([2, 4, NEVER])[rng.integers(0, 3, n)]
    x = rng.normal(size=(n, 4 if moving else 1, 2)) + 0.4 * (start == 2)[:, None, None]
    x[:, :, 1] = x[:, :, 1] > 0.2
    design = np.concatenate([np.ones((*x.shape[:2], 1)), x], axis=2)
    return start, design


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("adjust", ["doubly-robust", "regression"])
def test_overlap_equals_statsmodels(adjust: Any, *, moving: bool) -> None:
    start, design = scored(moving=moving)
    found = overlap(start, PERIODS, design, Rule("not-yet", adjust))
    spans = {2: [(2, 3, [4, NEVER]), (4, 4, [NEVER])], 4: [(4, 4, [NEVER])]}
    expected = [(g, *s) for g, rows in spans.items() for s in rows]
    assert [(o.cohort, o.first, o.last) for o in found] == [e[:3] for e in expected]
    for row, (g, _, _, compared) in zip(found, expected, strict=True):
        at = {2: 0, 4: 2}[g] if moving else 0
        rows = (start == g) | np.isin(start, compared)
        X, d = design[rows, at], start[rows] == g
        p = sm.Logit(d.astype(float), X).fit(disp=0, method="newton", tol=1e-14).predict()
        odds = (p / (1 - p))[~d]
        assert (row.n_treated, row.n_comparison) == (d.sum(), (~d).sum())
        assert row.effective == pytest.approx(odds.sum() ** 2 / (odds**2).sum(), rel=1e-8)
        assert row.largest_share == pytest.approx(odds.max() / odds.sum(), rel=1e-8)
        assert row.largest_odds == pytest.approx(odds.max(), rel=1e-8)
        assert row.outside[0] == pytest.approx(((p[d] > p[~d].max()) | (p[d] < p[~d].min())).mean())
        assert row.outside[1] == pytest.approx(((p[~d] > p[d].max()) | (p[~d] < p[d].min())).mean())
        assert row.scores[:, 0] == pytest.approx([p[d].min(), p[~d].min()], abs=1e-9)
        assert row.scores[:, 3] == pytest.approx([np.quantile(p[s], 0.5, method="inverted_cdf") for s in (d, ~d)])
        share = X[d, 2].mean(), X[~d, 2].mean()
        scale = [np.sqrt((X[d, 1].var(ddof=1) + X[~d, 1].var(ddof=1)) / 2)]
        scale.append(np.sqrt(sum(q * (1 - q) for q in share) / 2))
        before = (X[d].mean(axis=0) - X[~d].mean(axis=0))[1:] / scale
        after = (X[d].mean(axis=0) - np.average(X[~d], axis=0, weights=odds))[1:] / scale
        assert row.before == pytest.approx(before, abs=1e-9)
        assert row.after == pytest.approx(after, abs=1e-8)
        assert row.worst == pytest.approx((np.abs(before).max(), np.abs(after).max()), abs=1e-8)
        assert row.problem is None


def test_weights_stand_for_rows() -> None:
    start, design = scored(1)
    twice = np.repeat(np.arange(200), np.where(np.arange(200) < 50, 2, 1))
    w = np.where(np.arange(200) < 50, 2.0, 1.0)
    for one, two in zip(
        overlap(start, PERIODS, design, Rule(), w), overlap(start[twice], PERIODS, design[twice], Rule()), strict=True
    ):
        assert one.after == pytest.approx(two.after, abs=1e-3)  # the unbiased variance counts rows
        assert one.scores == pytest.approx(two.scores, abs=1e-9)
        assert one.outside == pytest.approx(two.outside, abs=1e-12)


def test_without_covariates_all_units_count_alike() -> None:
    start, design = scored(2)
    found = overlap(start, PERIODS, design[:, :, :1], Rule("never"))[0]
    assert found.effective == pytest.approx((start == NEVER).sum())
    assert found.scores == pytest.approx(
        np.full((2, len(QUANTILES)), found.n_treated / (found.n_treated + found.n_comparison))
    )
    assert found.outside == (0.0, 0.0)
    assert np.isnan(found.worst).all()


def test_missing_covariates_leave_rows_out() -> None:
    start, design = scored(3)
    gone = design.copy()
    gone[:20, 0, 1] = np.nan
    for one, two in zip(
        overlap(start, PERIODS, gone, Rule("never")),
        overlap(start[20:], PERIODS, design[20:], Rule("never")),
        strict=True,
    ):
        assert one.after == pytest.approx(two.after, abs=1e-12)
        assert one.n_treated == two.n_treated


def test_a_cohort_apart_says_so_and_the_others_stand() -> None:
    start, design = scored(4)
    design[:, 0, 1] += 100 * (start == 2)
    found = overlap(start, PERIODS, design, Rule("never"))
    assert (found[0].cohort, found[0].problem, found[0].column) == (2, "separation", 1)
    assert np.isnan(found[0].effective)
    assert found[0].worst[0] > 1
    assert found[1].problem is None
    doubled = np.concatenate([design, 2 * design[:, :, 2:]], axis=2)
    assert {(o.problem, o.column) for o in overlap(start[start != 2], PERIODS, doubled[start != 2], Rule("never"))} == {
        ("collinear", 3)
    }
    everybody = np.where(start == NEVER, 4, start)
    assert {o.problem for o in overlap(everybody, PERIODS, scored(4)[1], Rule("never"))} == {"empty"}
