"""Balance, least squares and sandwich errors against plain definitions and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaltoolkit.kernels.balance import balance, balances, denominators, effective_size, weighted_variance
from evaltoolkit.kernels.balance_products import product_balance
from evaltoolkit.kernels.compiled.columns import sorted_rows
from evaltoolkit.kernels.distributions import ecdf_distances, gaussian_density, overlap_coefficients, signed_steps
from evaltoolkit.kernels.effect_sizes import baseline_sizes, cox_index, hedges_g
from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.kernels.sandwich import clustered, clustered_two_ways, heteroskedastic

# Two ways to the same sum in double precision.
CLOSE = 1e-10
samples = st.lists(st.integers(0, 6).map(float), min_size=2, max_size=30)


@given(samples, samples)
@settings(max_examples=100, deadline=None)
def test_largest_gap_is_the_kolmogorov_smirnov_distance(x, y) -> None:
    one, two = np.array(x), np.array(y)
    first = np.arange(one.size + two.size) < one.size
    steps = signed_steps(first, np.ones(first.size))[:, None]
    found = ecdf_distances(np.concatenate([one, two]), steps)[0, 1]
    assert found == pytest.approx(stats.ks_2samp(one, two, method="asymp").statistic, abs=1e-12)


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(1, 4)), min_size=3, max_size=20))
@settings(max_examples=60, deadline=None)
def test_weights_scale_out_of_variance_and_balance(rows) -> None:
    x, w = np.array([r[0] for r in rows]), np.array([float(r[1]) for r in rows])
    assert weighted_variance(x, w) == pytest.approx(weighted_variance(x, 7 * w), rel=1e-9, abs=1e-12)
    mean = np.average(x, weights=w)
    share = w / w.sum()
    if not ((x == 0) | (x == 1)).all():
        by_hand = (share * (x - mean) ** 2).sum() / (1 - (share**2).sum())
        assert weighted_variance(x, w) == pytest.approx(by_hand, rel=1e-9, abs=1e-12)


def test_units_with_weight_zero_take_no_part_in_means() -> None:
    rng = np.random.default_rng(0)
    X, first, w = rng.normal(size=(40, 2)), rng.random(40) < 0.5, (rng.random(40) < 0.6).astype(float)
    full, cut = balance(X, first, w), balance(X[w > 0], first[w > 0])
    np.testing.assert_allclose(full.smd, cut.smd, rtol=CLOSE)
    np.testing.assert_allclose(full.variance_ratio, cut.variance_ratio, rtol=CLOSE)
    np.testing.assert_allclose(full.ecdf_max, cut.ecdf_max, rtol=CLOSE)


def test_effect_sizes_by_hand() -> None:
    rng = np.random.default_rng(1)
    x, first = rng.normal(size=50), np.arange(50) < 20
    a, b = x[first], x[~first]
    pooled = np.sqrt((19 * a.var(ddof=1) + 29 * b.var(ddof=1)) / 48)
    by_hand = (1 - 3 / (4 * 50 - 9)) * (a.mean() - b.mean()) / pooled
    assert hedges_g(a.mean() - b.mean(), (a.var(ddof=1), b.var(ddof=1)), (20, 30)) == pytest.approx(by_hand, rel=CLOSE)
    X = np.column_stack([x, x > 0])
    sizes = baseline_sizes(balance(X, first), 20, 30, np.array([False, True]))
    assert sizes[0] == pytest.approx(by_hand, rel=CLOSE)
    p, q = X[first, 1].mean(), X[~first, 1].mean()
    cox = (1 - 3 / 191) * (np.log(p / (1 - p)) - np.log(q / (1 - q))) / 1.65
    assert sizes[1] == pytest.approx(cox, rel=CLOSE)
    assert np.isnan(hedges_g(1.0, (0.0, 0.0), (3, 3)))
    assert hedges_g(0.0, (0.0, 0.0), (3, 3)) == 0
    assert np.isnan(cox_index(0.0, 0.3, 100))
    assert cox_index(0.3, 0.3, 100) == 0
    assert effective_size(np.ones(7)) == pytest.approx(7)


@given(
    st.one_of(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60),
        st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=60),
        # Equal in their leading 33 bits: the insertion gives up, and all digits are used.
        st.lists(st.integers(0, 400).map(lambda k: 1.0 + k * 2.0**-50), min_size=30, max_size=120),
    )
)
@settings(max_examples=150, deadline=None)
def test_rows_are_sorted_as_numpy_sorts_them(values) -> None:
    x = np.array(values)
    _, rows = sorted_rows(x)
    np.testing.assert_array_equal(rows, np.argsort(x, kind="stable"))


def test_several_weightings_are_each_as_alone() -> None:
    rng = np.random.default_rng(3)
    X = np.column_stack([rng.normal(size=80), rng.integers(0, 4, 80), rng.random(80) < 0.4]).astype(float)
    first, w = rng.random(80) < 0.4, rng.random(80) * (rng.random(80) < 0.7)
    over = denominators(X, first, "pooled")
    together = balances(X, first, (None, w), over)
    for found, weights in zip(together, (None, w), strict=True):
        alone = balance(X, first, weights, over)
        for name in ("mean_second", "smd", "variance_ratio", "ecdf_mean", "ecdf_max", "overlap"):
            np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))
    by_hand = np.sqrt((X[first, 0].var(ddof=1) + X[~first, 0].var(ddof=1)) / 2)
    assert over[0] == pytest.approx(by_hand, rel=CLOSE)


@pytest.mark.parametrize("spread", ["first", "second", "pooled"])
def test_squares_and_products_are_those_of_the_columns(spread) -> None:
    rng = np.random.default_rng(4)
    level = rng.integers(0, 3, 90)
    X = np.column_stack([rng.normal(30, 5, 90), rng.exponential(size=90), rng.random(90) < 0.4, level == 0, level == 1])
    X, first = X.astype(float), rng.random(90) < 0.4
    w = rng.random(90) * (rng.random(90) < 0.7)
    found = product_balance(X, first, (None, w), spread, (0, 1, 2, 3, 3))
    assert [*zip(found.one.tolist(), found.two.tolist(), strict=True)] == [
        (0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4),
    ]  # fmt: skip
    made = X[:, found.one] * X[:, found.two]
    for i, weights in enumerate((None, w)):
        expected = balance(made, first, weights, denominators(made, first, spread)).smd
        # Variances of products by second moments lose a few digits.
        np.testing.assert_allclose(found.smd[i], expected, rtol=1e-9, atol=1e-12)


def test_a_square_that_hardly_varies_beside_its_size_has_no_number() -> None:
    rng = np.random.default_rng(6)
    X, first = np.column_stack([1e9 + rng.normal(size=50), rng.normal(size=50)]), np.arange(50) < 20
    found = product_balance(X, first, (None,), "first", (0, 1)).smd[0]
    assert np.isnan(found[0])
    made = X[:, :1] * X[:, 1:]
    # The product is the second column but for a factor of a billion.
    np.testing.assert_allclose(
        found[1], balance(made, first, None, denominators(made, first, "first")).smd[0], rtol=1e-6
    )


def test_density_is_the_sum_of_kernels() -> None:
    rng = np.random.default_rng(5)
    x, w = rng.normal(size=40), rng.random(40)
    found = gaussian_density(x, w, 0.3)
    by_hand = stats.norm.pdf(found.at[:, None], x, 0.3) @ (w / w.sum())
    # The grid of 512 points is as fine as a fortieth of the bandwidth; its convention shifts it by half a step at most.
    np.testing.assert_allclose(found.height, by_hand, atol=0.01)
    assert found.height.sum() * (found.at[1] - found.at[0]) == pytest.approx(1, abs=0.01)


def test_overlap_is_one_for_the_same_and_none_for_apart() -> None:
    x = np.r_[np.arange(20.0), np.arange(20.0), np.arange(20.0) + 100]
    first = np.r_[np.ones(20, bool), np.zeros(40, bool)]
    near, far = np.r_[np.ones(40), np.zeros(20)], np.r_[np.ones(20), np.zeros(20), np.ones(20)]
    same = overlap_coefficients(x, first, np.vstack([near, far]))
    assert same[0] == pytest.approx(1, abs=0.01)
    assert same[1] < 1e-6
    assert overlap_coefficients(x[[0, 1, 40, 41]], first[[0, 1, 40, 41]], np.ones((1, 4))).tolist() == [0.0]
    constant = overlap_coefficients(np.r_[np.ones(5), np.arange(6.0)], np.arange(11) < 5, np.ones((1, 11)))
    assert np.isnan(constant[0])


def test_constant_covariates_balance_perfectly() -> None:
    b = balance(np.full((10, 1), 3.0), np.arange(10) < 4)
    assert b.smd[0] == 0
    assert b.ecdf_max[0] == pytest.approx(0, abs=1e-12)
    assert np.isnan(b.overlap[0])


def test_least_squares_by_the_normal_equations() -> None:
    rng = np.random.default_rng(2)
    X, y, w = np.column_stack([np.ones(60), rng.normal(size=(60, 3))]), rng.normal(size=60), rng.random(60) + 0.1
    fit = least_squares(X, y, w)
    np.testing.assert_allclose(fit.coefficients, np.linalg.solve((X.T * w) @ X, (X.T * w) @ y), rtol=1e-9)
    np.testing.assert_allclose(fit.bread, np.linalg.inv((X.T * w) @ X), rtol=1e-9)
    assert fit.df_residual == 56
    np.testing.assert_allclose(fit.scores.sum(axis=0), 0, atol=1e-10)


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_aliased_columns_are_named_and_change_nothing(seed) -> None:
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(30), rng.normal(size=(30, 2))])
    extra = X @ rng.normal(size=3)
    wide = np.column_stack([X[:, :2], np.zeros(30), X[:, 2], extra, rng.normal(size=30)])
    y = rng.normal(size=30)
    fit = least_squares(wide, y)
    assert fit.aliased.tolist() == [2, 4]
    np.testing.assert_allclose(fit.residuals, least_squares(wide[:, [0, 1, 3, 5]], y).residuals, atol=1e-9)


def brute_cluster(X: np.ndarray, e: np.ndarray, w: np.ndarray, codes: np.ndarray) -> np.ndarray:
    bread = np.linalg.inv((X.T * w) @ X)
    groups = np.unique(codes)
    meat = np.zeros((X.shape[1], X.shape[1]))
    for g in groups:
        s = sum((w[i] * e[i] * X[i] for i in np.flatnonzero(codes == g)), np.zeros(X.shape[1]))
        meat += np.outer(s, s)
    return groups.size / (groups.size - 1) * bread @ meat @ bread


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_sandwiches_are_the_brute_force(seed) -> None:
    rng = np.random.default_rng(seed)
    n = 50
    X, y, w = np.column_stack([np.ones(n), rng.normal(size=(n, 2))]), rng.normal(size=n), rng.random(n) + 0.1
    a, b = rng.integers(0, 9, n), rng.integers(0, 12, n)
    fit = least_squares(X, y, w)
    e, factor = fit.residuals, (n - 1) / (n - 3)
    one = clustered(fit.scores, fit.bread, a)
    np.testing.assert_allclose(one.matrix, factor * brute_cluster(X, e, w, a), rtol=1e-9, atol=1e-12)
    assert one.df == np.unique(a).size - 1
    both = clustered_two_ways(fit.scores, fit.bread, a, b)
    by_hand = factor * (brute_cluster(X, e, w, a) + brute_cluster(X, e, w, b) - brute_cluster(X, e, w, 100 * a + b))
    values, vectors = np.linalg.eigh(by_hand)
    by_hand = (vectors * np.clip(values, 0, None)) @ vectors.T
    np.testing.assert_allclose(both.matrix, by_hand, rtol=1e-8, atol=1e-12)
    each = clustered(fit.scores, fit.bread, np.arange(n)).matrix
    np.testing.assert_allclose(heteroskedastic(fit.scores, fit.bread).matrix, each, rtol=1e-9)


def test_one_cluster_is_refused() -> None:
    fit = least_squares(np.ones((4, 1)), np.arange(4.0))
    with pytest.raises(ValueError, match="two clusters"):
        clustered(fit.scores, fit.bread, np.zeros(4, dtype=np.int64))


def test_bad_input_to_least_squares_is_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        least_squares(np.ones((3, 1)), np.ones(2))
    with pytest.raises(ValueError, match="finite"):
        least_squares(np.ones((3, 1)), np.array([1.0, np.nan, 2.0]))
