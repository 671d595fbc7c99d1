"""The multiplier bootstrap beside a loop over draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import evaltoolkit.kernels.multiplier as kernel
from evaltoolkit.kernels.bands import simultaneous_critical_value
from evaltoolkit.kernels.multiplier import blocks, multiplier_bootstrap, multipliers


def made(c: int = 30, m: int = 4, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(c, m)) @ rng.normal(size=(m, m)) / c
    return rng.normal(size=m) / 5, scores - scores.mean(axis=0)


@pytest.mark.parametrize("law", ["gaussian", "rademacher", "webb", "mammen"])
def test_moments_of_the_laws(law: Any) -> None:
    v = multipliers(law, 200_000, 1, np.random.default_rng(1))[:, 0]
    # Mammen's law alone has a third moment, of one.
    for power, expected in ((1, 0.0), (2, 1.0), (3, 1.0 if law == "mammen" else 0.0)):
        error = (v**power).std() / np.sqrt(v.size)
        assert abs((v**power).mean() - expected) < 4 * error + 1e-12


@pytest.mark.parametrize("law", ["rademacher", "webb", "mammen"])
def test_cluster_laws_equal_a_loop(law: Any) -> None:
    estimates, scores = made()
    found = multiplier_bootstrap(estimates, scores, law, level=0.9, draws=500, seed=3)
    rows = []
    for v in np.concatenate(list(blocks(law, 500, 30, 3))):
        draw = np.zeros(4)
        for c in range(30):
            draw += v[c] * scores[c]
        rows.append(draw)
    table = np.array(rows)
    low, high = (np.sort(table, axis=0)[int(np.ceil(500 * q)) - 1] for q in (0.25, 0.75))
    se = (high - low) / (stats.norm.ppf(0.75) - stats.norm.ppf(0.25))
    largest = np.sort(np.abs(table / se).max(axis=1))
    assert found.std_error == pytest.approx(se, rel=1e-10)
    assert found.critical_value == pytest.approx(largest[449], rel=1e-10)
    assert found.lower == pytest.approx(estimates - largest[449] * se, rel=1e-9)
    assert found.upper == pytest.approx(estimates + largest[449] * se, rel=1e-9)
    assert found.percentile_lower == pytest.approx(estimates + np.sort(table, axis=0)[24], rel=1e-9)
    assert found.percentile_upper == pytest.approx(estimates + np.sort(table, axis=0)[474], rel=1e-9)
    p = [(1 + (np.abs(table[:, j]) >= abs(estimates[j])).sum()) / 501 for j in range(4)]
    assert found.p_value == pytest.approx(p)
    adjusted = [(1 + (largest >= abs(estimates[j]) / se[j]).sum()) / 501 for j in range(4)]
    assert found.p_adjusted == pytest.approx(adjusted)


def test_gaussian_is_the_law_of_gaussian_multipliers() -> None:
    """Drawn in m dimensions, beside draws of one multiplier a cluster."""
    estimates, scores = made(200)
    found = multiplier_bootstrap(estimates, scores, "gaussian", level=0.95, draws=200_000, seed=3)
    v = np.random.default_rng(9).standard_normal((60_000, 200))
    table = v @ scores
    assert found.std_error == pytest.approx(table.std(axis=0), rel=0.01)
    largest = np.abs(table / table.std(axis=0)).max(axis=1)
    assert found.critical_value == pytest.approx(np.quantile(largest, 0.95), abs=0.02)
    assert found.critical_value == simultaneous_critical_value(scores.T @ scores, 0.95, draws=200_000, seed=3)
    t = np.abs(estimates) / found.std_error
    assert found.p_adjusted == pytest.approx([(largest >= x).mean() for x in t], abs=0.01)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(t))
    assert found.percentile_upper == pytest.approx(estimates + stats.norm.ppf(0.975) * found.std_error)


def test_laws_agree_with_many_clusters() -> None:
    estimates, scores = made(800)
    laws: Any = ("gaussian", "rademacher", "webb", "mammen")
    found = [multiplier_bootstrap(estimates, scores, law, level=0.95, draws=10_000, seed=3) for law in laws]
    for other in found[1:]:
        assert other.std_error == pytest.approx(found[0].std_error, rel=0.05)
        assert other.critical_value == pytest.approx(found[0].critical_value, rel=0.05)


def test_blocks_do_not_change_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "BLOCK", 64)
    sizes = [len(block) for block in blocks("webb", 25, 30, 1)]
    assert sum(sizes) == 25
    assert max(sizes) == 2


@pytest.mark.parametrize("law", ["gaussian", "rademacher"])
def test_an_estimate_without_variance_is_left_out(law: Any) -> None:
    estimates, scores = made()
    with_zero = np.insert(scores, 1, 0.0, axis=1)
    found = multiplier_bootstrap(np.insert(estimates, 1, 0.0), with_zero, law, level=0.95, draws=5000, seed=1)
    alone = multiplier_bootstrap(estimates, scores, law, level=0.95, draws=5000, seed=1)
    for values in (found.std_error, found.lower, found.percentile_upper, found.p_value, found.p_adjusted):
        assert np.isnan(values[1])
        assert np.isfinite(np.delete(values, 1)).all()
    assert found.critical_value == pytest.approx(alone.critical_value, rel=1e-9)
    none = multiplier_bootstrap(np.zeros(1), np.zeros((5, 1)), law, level=0.95, draws=9, seed=1)
    assert np.isnan(none.critical_value)
    assert np.isnan(none.p_value).all()


@pytest.mark.parametrize("law", ["gaussian", "webb"])
def test_scale_and_seed(law: Any) -> None:
    estimates, scores = made()
    one = multiplier_bootstrap(estimates, scores, law, level=0.95, draws=999, seed=1)
    two = multiplier_bootstrap(estimates * 1000, scores * 1000, law, level=0.95, draws=999, seed=1)
    assert two.std_error == pytest.approx(one.std_error * 1000)
    assert two.p_value == pytest.approx(one.p_value)
    other = multiplier_bootstrap(estimates, scores, law, level=0.95, draws=999, seed=2)
    assert other.critical_value != one.critical_value


def test_a_column_is_needed_for_each_estimate() -> None:
    with pytest.raises(ValueError, match="column for each"):
        multiplier_bootstrap(np.zeros(2), np.zeros((5, 3)), "webb", level=0.95, draws=9, seed=1)
