"""The matcher against a brute-force twin that follows the stated rules literally, heavy ties included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels.pairing import Constraints, Pairs, Rule, matching_weights, pair_nearest

Chosen = dict[int, list[int]]


def chosen(pairs: Pairs) -> Chosen:
    lists: Chosen = {}
    for i, j in zip(pairs.focal.tolist(), pairs.match.tolist(), strict=True):
        lists.setdefault(i, []).append(j)
    return lists


def candidates(
    i: int, score: list[float], free: list[int], codes: list[int], reach: float
) -> list[tuple[float, int, int]]:
    """Every free unit in reach as (distance, side, steps away): left before right, nearer on the line first."""
    line = sorted(range(len(score)), key=lambda r: (score[r], r))
    place = {row: k for k, row in enumerate(line)}
    found = []
    for j in free:
        distance = abs(score[i] - score[j])
        if codes[i] == codes[j] and distance <= reach:
            found.append((distance, 0 if place[j] < place[i] else 1, abs(place[i] - place[j]), j))
    # Of units at one side that are equally far, the nearer one on the line is met first.
    return [(d, side, j) for d, side, _, j in sorted(found)]


def order_of(score: list[float], focal: list[int], order: str) -> list[int]:
    if order == "largest":
        return sorted(focal, key=lambda r: (-score[r], r))
    if order == "smallest":
        return sorted(focal, key=lambda r: (score[r], r))
    return focal


def brute_greedy(score: list[float], focal: list[int], rule: Rule, codes: list[int]) -> Chosen:
    free = [r for r in range(len(score)) if r not in focal]
    reach = np.inf if rule.caliper is None else rule.caliper
    result: Chosen = {}
    waiting = order_of(score, focal, rule.order)
    for _ in range(rule.ratio):
        taken = (
            queue_by_distance(waiting, lambda i: candidates(i, score, free, codes, reach), free, rule.order)
            if rule.order in {"closest", "farthest"}
            else queue_in_turn(waiting, lambda i: candidates(i, score, free, codes, reach), free)
        )  # fmt: skip
        for i, j in taken:
            result.setdefault(i, []).append(j)
        waiting = [i for i in waiting if i in dict(taken)]
    return result


def queue_in_turn(waiting, offers, free) -> list[tuple[int, int]]:
    taken = []
    for i in waiting:
        found = offers(i)
        if found:
            free.remove(found[0][2])
            taken.append((i, found[0][2]))
    return taken


def queue_by_distance(waiting, offers, free, order) -> list[tuple[int, int]]:
    """A list in order of distance: who lost a match to another queues again, before equals (closest) or after them."""
    sign = 1 if order == "closest" else -1
    queue = sorted(((sign * c[0][0], i, c[0][2]) for i in waiting if (c := offers(i))), key=lambda q: q[:2])
    taken = []
    while queue:
        _, i, j = queue.pop(0)
        if j in free:
            free.remove(j)
            taken.append((i, j))
        elif again := offers(i):
            key = sign * again[0][0]
            place = sum(q[0] < key if order == "closest" else q[0] <= key for q in queue)
            queue.insert(place, (key, i, again[0][2]))
    return taken


def brute_replacing(score: list[float], focal: list[int], rule: Rule, codes: list[int]) -> Chosen:
    others = [r for r in range(len(score)) if r not in focal]
    reach = np.inf if rule.caliper is None else rule.caliper
    result: Chosen = {}
    for i in focal:
        options = candidates(i, score, others, codes, reach)
        take = options[: rule.ratio]
        if rule.ties == "average" and take:
            take = [o for o in options if o[0] <= take[-1][0]] if len(take) == rule.ratio else options
        if take:
            result[i] = [j for _, _, j in take]
    return result


# Quarters are exact in binary, so that equal distances are equal and ties are heavy.
quarters = st.integers(0, 8).map(lambda k: k / 4)
worlds = st.lists(st.tuples(quarters, st.booleans(), st.integers(0, 1)), min_size=2, max_size=18)
calipers = st.sampled_from([None, 0.0, 0.25, 0.5])


@settings(max_examples=300, deadline=None)
@given(
    worlds,
    st.integers(1, 3),
    calipers,
    st.sampled_from(["largest", "smallest", "data", "closest", "farthest"]),
    st.booleans(),
)
def test_without_replacement_is_the_brute_force(world, ratio, caliper, order, with_strata) -> None:
    score, focal, codes = (list(part) for part in zip(*world, strict=True))
    codes = codes if with_strata else [0] * len(score)
    rule = Rule(ratio=ratio, caliper=caliper, order=order)
    pairs = pair_nearest(np.array(score), np.array(focal), rule, np.array(codes))
    assert chosen(pairs) == brute_greedy(score, [i for i, f in enumerate(focal) if f], rule, codes)


@settings(max_examples=300, deadline=None)
@given(worlds, st.integers(1, 3), calipers, st.sampled_from(["one", "average"]), st.booleans())
def test_with_replacement_is_the_brute_force(world, ratio, caliper, ties, with_strata) -> None:
    score, focal, codes = (list(part) for part in zip(*world, strict=True))
    codes = codes if with_strata else [0] * len(score)
    rule = Rule(ratio=ratio, caliper=caliper, replace=True, ties=ties)
    pairs = pair_nearest(np.array(score), np.array(focal), rule, np.array(codes))
    expected = brute_replacing(score, [i for i, f in enumerate(focal) if f], rule, codes)
    assert {i: sorted(m) for i, m in chosen(pairs).items()} == {i: sorted(m) for i, m in expected.items()}
    if ties == "one":
        assert chosen(pairs) == expected


@given(st.integers(0, 2**31), st.sampled_from(["largest", "random", "closest"]))
@settings(max_examples=40, deadline=None)
def test_untied_scores_without_replacement(seed, order) -> None:
    rng = np.random.default_rng(seed)
    score, focal = rng.normal(size=60), rng.random(60) < 0.4
    pairs = pair_nearest(score, focal, Rule(order=order, caliper=0.3, seed=seed))
    assert np.unique(pairs.match).size == pairs.match.size
    assert not focal[pairs.match].any()
    assert focal[pairs.focal].all()
    assert (np.abs(score[pairs.focal] - score[pairs.match]) <= 0.3).all()
    if order == "random":
        again = pair_nearest(score, focal, Rule(order=order, caliper=0.3, seed=seed))
        assert (pairs.match == again.match).all()


@given(st.integers(0, 2**31), st.integers(1, 3), st.sampled_from([1, 2, None]))
@settings(max_examples=80, deadline=None)
def test_limits_and_reuse_are_the_brute_force(seed, ratio, limit) -> None:
    rng = np.random.default_rng(seed)
    n = 30
    score, focal = rng.integers(0, 9, n) / 4, rng.random(n) < 0.4
    columns, apart = rng.integers(0, 5, (n, 2)) / 2, rng.integers(0, 3, (n, 1))
    limits = Constraints(columns, np.array([1.0, -0.5]), apart)
    rule = Rule(ratio=ratio, caliper=1.0, replace=limit != 1, limit=None if limit == 1 else limit)
    line = np.argsort(score, kind="stable").tolist()
    used, expected = dict.fromkeys(range(n), 0), {}
    rows = np.flatnonzero(focal)
    waiting = rows.tolist() if limit is None else rows[np.argsort(-score[rows], kind="stable")].tolist()
    for _ in range(ratio):
        for i in list(waiting):
            fits = [
                (abs(score[i] - score[j]), line.index(j) > line.index(i), abs(line.index(i) - line.index(j)), j)
                for j in np.flatnonzero(~focal).tolist()
                if abs(score[i] - score[j]) <= 1 and used[j] < (limit or 10**9) and j not in expected.get(i, [])
                and abs(columns[i, 0] - columns[j, 0]) <= 1 and abs(columns[i, 1] - columns[j, 1]) > 0.5
                and apart[i, 0] != apart[j, 0]
            ]  # fmt: skip
            if fits:
                used[min(fits)[3]] += 1
                expected.setdefault(i, []).append(min(fits)[3])
            else:
                waiting.remove(i)
    assert chosen(pair_nearest(score, focal, rule, constraints=limits)) == expected


def test_weights_add_up_to_the_matched_units() -> None:
    rng = np.random.default_rng(3)
    score, focal = rng.normal(size=200), rng.random(200) < 0.5
    weights = matching_weights(pair_nearest(score, focal, Rule(replace=True, ratio=2)), focal)
    others = weights[~focal]
    assert others.sum() == pytest.approx((others > 0).sum())
    assert set(weights[focal]) == {1.0}


def test_nobody_to_pair_with_gives_no_pairs() -> None:
    assert pair_nearest(np.array([0.1, 0.2]), np.array([True, True]), Rule()).n_focal == 0


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_scores_must_be_finite(score) -> None:
    with pytest.raises(ValueError, match="finite"):
        pair_nearest(np.array([score, 0.2]), np.array([True, False]), Rule())


def test_a_hundred_thousand_rows_are_paired() -> None:
    """A quadratic search would take minutes, and the run would be stopped."""
    rng = np.random.default_rng(1)
    score = rng.random(100_000)
    focal = rng.random(100_000) < 0.2
    assert pair_nearest(score, focal, Rule()).n_focal == focal.sum()
