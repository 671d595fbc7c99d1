"""How often tests reject a true null with few clusters, and few of them treated.

The world: G clusters of ten units and six periods, treatment of whole clusters from period four, cluster shocks by
period, an effect of zero; two-way effects, clustered by treatment cluster.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special

from evaltoolkit.kernels.small_sample import small_sample
from evaltoolkit.kernels.small_sample_fit import clustered_fit
from evaltoolkit.kernels.wild_bootstrap import Wild, wild_cluster

TIME = np.tile(np.arange(6), 10)


def rejections(seed: int, clusters: int, treated: int, draws: int, wild: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(clusters), 60)
    units = np.repeat(np.arange(10 * clusters), 6)
    time = np.tile(TIME, clusters)
    d = ((codes < treated) & (time >= 3)).astype(float)
    X = np.column_stack([d, *[(time == t).astype(float) for t in range(1, 6)]])
    contrast = np.eye(6)[:1]
    found: dict[str, list[bool]] = {"CR1": [], "CR2": [], "CR2 with t(G-1)": [], "CR3": [], "wild": []}
    for k in range(draws):
        shock = np.cumsum(rng.normal(size=(clusters, 6)), axis=1) * 0.5
        y = shock[codes, time] + rng.normal(size=codes.size)
        fit = clustered_fit(X, y, codes, None, units)
        kinds: Any = ("CR1", "CR2", "CR3")
        for kind in kinds:
            found[kind].append(bool(small_sample(fit, kind, contrast).p_value[0] <= 0.05))
        two = small_sample(fit, "CR2", contrast)
        p = 2 * special.stdtr(clusters - 1, -abs(two.estimate[0] / two.std_error[0]))
        found["CR2 with t(G-1)"].append(bool(p <= 0.05))
        if k < wild:
            found["wild"].append(wild_cluster(fit, 0, Wild("webb", draws=399, seed=k)).p_value <= 0.05)
    return {name: float(np.mean(values)) for name, values in found.items() if values}


@pytest.mark.slow
def test_cr2_and_the_wild_bootstrap_keep_their_level_where_cr1_does_not() -> None:
    rate = rejections(1, clusters=12, treated=4, draws=1200, wild=600)
    # Four errors of a share of 0.05: 0.025 of 1200 draws, 0.036 of 600.
    assert rate["CR2"] < 0.075
    assert rate["CR3"] < 0.075
    assert rate["wild"] < 0.086
    assert rate["CR1"] > rate["CR2"] + 0.01


@pytest.mark.slow
def test_degrees_of_freedom_carry_the_level_with_two_treated_clusters() -> None:
    """CR2's error alone is not enough: referred to t(G-1) it rejects far too often."""
    rate = rejections(2, clusters=12, treated=2, draws=1000, wild=0)
    assert rate["CR2"] < 0.08
    assert rate["CR2 with t(G-1)"] > 0.12
    assert rate["CR1"] > 0.15
