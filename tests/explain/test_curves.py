"""Deletion, insertion, comprehensiveness and sufficiency, against loops over all orders and tables by hand."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from intermodal.errors import InputError
from intermodal.explain.coalitions import Coalitions
from intermodal.explain.curves import Curves, deletion_curves, measured
from intermodal.explain.erasing import eraser
from intermodal.explain.flipping import _turned as turned
from intermodal.explain.flipping import ranking_flips
from intermodal.explain.ranks import mean_and_error, ranked, sample_spearman, spearman
from intermodal.explain.shapley_values import values_of


def game(v: Any, present: Any = None, **options: Any) -> Coalitions:
    """A table; what a sample lacks changes nothing for it."""
    v = np.asarray(v, dtype=np.float64)
    m, n = int(math.log2(len(v))), v.shape[1]
    there = np.ones((n, m), dtype=bool) if present is None else np.asarray(present)
    bits = (there << np.arange(m)).sum(1)
    v = v[np.arange(len(v))[:, None] & bits, np.arange(n)]
    given = {"removal": "mask", "of": "prediction"} | options
    return Coalitions(tuple("abcdefghij")[:m], v, present=there, evaluations=len(v), **given)


def by_order(table: Coalitions, i: int, order: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """The deletion and the insertion curve of one sample in one order, step by step."""
    everything = sum(1 << p for p in order)
    gone, deletion, insertion = 0, [table.v[everything, i]], [table.v[0, i]]
    for p in order:
        gone |= 1 << p
        deletion.append(table.v[everything & ~gone, i])
        insertion.append(table.v[gone, i])
    return deletion, insertion


def area(curve: Any) -> float:
    return float(np.trapezoid(curve, np.linspace(0, 1, len(curve))))


def orders_of(table: Coalitions, i: int, scores: np.ndarray) -> list[tuple[int, ...]]:
    """All orders that never take a lower score before a higher one."""
    players = np.flatnonzero(table.present[i])
    return [
        order
        for order in itertools.permutations(players.tolist())
        if all(scores[i, p] >= scores[i, q] for p, q in itertools.pairwise(order))
    ]


# a: 4, b: 2, c: 1, and a and c together 3 more
BY_HAND = [[0.0], [4.0], [2.0], [6.0], [1.0], [8.0], [3.0], [10.0]]


def test_three_modalities_by_hand() -> None:
    curves = deletion_curves(game(BY_HAND), {"c first": np.array([[1.0, 2.0, 3.0]])})
    # order c, b, a:   abc 10, ab 6, a 4, nothing 0   and back: nothing 0, c 1, bc 3, abc 10
    assert curves.deletion["c first"].tolist() == [10.0, 6.0, 4.0, 0.0]
    assert curves.insertion["c first"].tolist() == [0.0, 1.0, 3.0, 10.0]
    assert curves.deletion_areas["c first"][0] == pytest.approx((10 / 2 + 6 + 4 + 0 / 2) / 3)
    assert curves.insertion_areas["c first"][0] == pytest.approx((0 / 2 + 1 + 3 + 10 / 2) / 3)
    # Shapley: a 5.5, c 2.5, b 2
    assert curves.deletion["Shapley"].tolist() == [10.0, 3.0, 2.0, 0.0]
    assert curves.insertion["Shapley"].tolist() == [0.0, 4.0, 8.0, 10.0]
    # without a 3, without b 8, without c 6: a, then c, then b
    assert curves.deletion["leave-one-out"].tolist() == [10.0, 3.0, 2.0, 0.0]
    assert curves.share.tolist() == [0.0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0]
    assert (curves.names, curves.removal, curves.measure, curves.left_out) == (("a", "b", "c"), "mask", "value", 0)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_every_curve_is_the_mean_over_the_orders_that_its_scores_allow(m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    present = rng.random((3, m)) < 0.8
    present[:, :2] = True
    table = game(rng.normal(size=(1 << m, 3)), present)
    scores = rng.integers(0, 3, size=(3, m)).astype(float)  # often tied
    curves = deletion_curves(table, {"tied": scores})
    for name, given_scores in {"tied": scores, "random": np.zeros((3, m))}.items():
        for i in range(3):
            walks = [by_order(table, i, order) for order in orders_of(table, i, given_scores)]
            down, up = np.mean(walks, 0)
            assert curves.deletion_areas[name][i] == pytest.approx(area(down), abs=1e-12)
            assert curves.insertion_areas[name][i] == pytest.approx(area(up), abs=1e-12)


def test_the_mean_curve_and_the_band_of_the_random_order() -> None:
    table = game(np.random.default_rng(0).normal(size=(16, 7)))
    curves = deletion_curves(table)
    walks = np.array(
        [[by_order(table, i, order) for order in itertools.permutations(range(4))] for i in range(7)]
    )  # (7, 24, 2, 5)
    for side, name in enumerate(("deletion", "insertion")):
        assert np.allclose(getattr(curves, name)["random"], walks[:, :, side].mean((0, 1)), atol=1e-12)
        deviation = np.sqrt(walks[:, :, side].var(1).sum(0)) / 7  # each sample draws its own order
        assert np.allclose(curves.band[name], 2 * deviation, atol=1e-9)


def test_what_a_sample_lacks_is_no_step_of_its_curve() -> None:
    table = game(np.repeat(BY_HAND, 2, 1), [[True, True, True], [True, False, True]])
    scores = np.array([[3.0, 2.0, 1.0], [1.0, np.nan, 2.0]])  # nobody reads the score of what is not there
    curves = deletion_curves(table, {"own": scores})
    # the second sample:   ac 8, a 4, nothing 0   at shares 0, 1/2, 1; read at 1/3: 8 - 2/3 * 4
    assert curves.deletion_areas["own"][1] == pytest.approx((8 / 2 + 4 + 0) / 2)
    assert curves.insertion_areas["own"][1] == pytest.approx((0 + 1 + 8 / 2) / 2)
    assert curves.deletion["own"] == pytest.approx(np.mean([[10, 3, 1, 0], [8, 8 - 8 / 3, 4 - 4 / 3, 0]], 0))


def test_a_sample_with_one_modality_is_left_out_and_counted() -> None:
    table = game(np.repeat(BY_HAND, 3, 1), [[True, True, True], [True, False, False], [False, False, False]])
    curves = deletion_curves(table)
    assert curves.left_out == 2 and len(curves.deletion_areas["Shapley"]) == 1


def test_rounding_does_not_break_a_tie() -> None:
    v = np.random.default_rng(1).normal(size=(8, 5))
    even, shaken = np.ones((5, 3)), np.ones((5, 3)) + 1e-15 * np.arange(3)
    curves = deletion_curves(game(v), {"even": even, "shaken": shaken})
    assert np.array_equal(curves.deletion_areas["even"], curves.deletion_areas["shaken"])
    assert np.allclose(curves.deletion_areas["even"], curves.deletion_areas["random"], atol=1e-15)


# --- against random -------------------------------------------------------------------------------


def additive(n: int = 101, seed: int = 0) -> tuple[Coalitions, np.ndarray]:
    """A game in which each modality adds its own, and what they add, (N, 3)."""
    adds = np.random.default_rng(seed).normal([3.0, 1.0, 0.0], 0.3, size=(n, 3))
    subsets = np.arange(8)[:, None] >> np.arange(3) & 1
    return game(subsets @ adds.T), adds


def test_a_good_ranking_is_better_than_random_and_its_reverse_is_not() -> None:
    table, adds = additive()
    curves = deletion_curves(table, {"reversed": -adds})
    rows = {row["ranking"]: row for row in curves.rows()}
    assert [rows[name]["better"] for name in ("Shapley", "leave-one-out", "reversed", "random")] == [
        True,
        True,
        False,
        False,
    ]
    good, bad = rows["Shapley"], rows["reversed"]
    assert good["deletion_gain"] > 0 and good["insertion_gain"] > 0
    assert good["deletion_area"] < rows["random"]["deletion_area"] < bad["deletion_area"]
    assert good["insertion_area"] > rows["random"]["insertion_area"] > bad["insertion_area"]
    assert bad["deletion_gain"] == pytest.approx(-good["deletion_gain"])  # additive: the two orders mirror each other


def test_the_error_is_that_of_the_paired_difference() -> None:
    table, adds = additive(n=31)
    curves = deletion_curves(table, {"noise": np.random.default_rng(5).normal(size=adds.shape)})
    for first, second in (("Shapley", "random"), ("noise", "Shapley")):
        found = curves.compared(first, second)
        for side, sign in (("deletion", -1), ("insertion", 1)):
            areas = getattr(curves, f"{side}_areas")
            gain = sign * (areas[first] - areas[second])
            assert found[side] == pytest.approx(gain.mean())
            assert found[f"{side}_error"] == pytest.approx(stats.sem(gain))


def test_better_takes_two_standard_errors_in_both_curves() -> None:
    def result(down: list[float], up: list[float]) -> bool | None:
        zero = np.zeros(len(down))
        areas = ({"own": -np.array(down), "random": zero}, {"own": np.array(up), "random": zero})
        return Curves(("a", "b"), "mask", "value", zero, {}, {}, {}, *areas, 0).compared("own")["better"]

    sure, unsure = [1.0, 1.1, 0.9, 1.0], [1.0, -1.0, 2.0, 0.5]
    assert result(sure, sure) is True
    assert result(sure, unsure) is False and result(unsure, sure) is False
    between = [1.0, -0.4, 1.2, 0.2]  # 1.35 standard errors
    assert result(between, sure) is False and result(sure, between) is False
    assert result([1.0], [1.0]) is None
    assert result([0.0, 0.0], [0.0, 0.0]) is False


def test_the_text_says_what_was_found() -> None:
    table, adds = additive()
    lines = deletion_curves(table, {"reversed": -adds}).text.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Shapley", "leave-one-out", "reversed"]
    assert "better than a random order by 0.99 ± 0.01 and 0.99" in lines[0] and "standard errors" in lines[0]
    assert "not better than a random order: -0.99 ± 0.01" in lines[2]


def test_one_sample_and_a_constant_model_are_said_in_words() -> None:
    assert deletion_curves(game(BY_HAND)).text.splitlines()[0].endswith("one sample, so nothing is known of the spread")
    constant = deletion_curves(game(np.full((8, 5), 2.0)))
    assert constant.text == "removing modalities never moves the prediction: there is nothing that a ranking could find"
    assert [row["better"] for row in constant.rows()] == [False, False, False]


# --- what the curves follow -----------------------------------------------------------------------


def test_of_probabilities_the_predicted_class_is_followed() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), size=(8, 7))
    chosen = p[-1].argmax(1)
    wanted = p[:, np.arange(7), chosen]
    assert np.array_equal(measured(game(p), "value"), wanted)
    assert set(chosen) == {0, 1, 2}
    curves = deletion_curves(game(p))
    assert curves.deletion["Shapley"][0] == pytest.approx(p[-1].max(1).mean())


def test_a_loss_falls_with_a_good_ranking_turned_round() -> None:
    table = game(-np.array(BY_HAND), of="loss")
    assert deletion_curves(table).deletion["Shapley"].tolist() == [10.0, 3.0, 2.0, 0.0]


@pytest.mark.parametrize("outputs", [1, 2])
def test_nearness_is_the_distance_to_the_whole_prediction_turned_round(outputs: int) -> None:
    v = np.random.default_rng(0).normal(size=(8, 5, outputs))
    distance = np.abs(v - v[-1]).sum(2) / 2
    table, flat = game(v), game(v[:, :, 0])
    assert np.allclose(measured(table, "nearness"), -distance)
    curves = deletion_curves(table, measure="nearness")
    assert curves.deletion["Shapley"][0] == 0.0 and curves.insertion["Shapley"][-1] == 0.0
    size = np.abs(values_of(table.v)).sum(2) / 2
    own = deletion_curves(table, {"own": size, "left": distance[[6, 5, 3]].T}, measure="nearness")
    assert np.array_equal(own.deletion_areas["own"], own.deletion_areas["Shapley"])
    assert np.array_equal(own.deletion_areas["left"], own.deletion_areas["leave-one-out"])
    assert np.allclose(measured(flat, "nearness"), -np.abs(v[:, :, 0] - v[-1, :, 0]))


@pytest.mark.parametrize(
    ("table", "options", "sentence"),
    [
        (game(np.zeros((2, 5))), {}, "a ranking orders at least two modalities, however: no sample has more than one"),
        (game(np.zeros((4, 0))), {}, "at least one sample is ranked, however: there is none"),
        (
            game(np.zeros((4, 3)), np.zeros((3, 2), dtype=bool)),
            {},
            "a ranking orders at least two modalities, however: no sample has more than one",
        ),
        (
            game(np.zeros((4, 3))),
            {"scores": {"mine": np.zeros((2, 3))}},
            "scores are (samples, modalities) = (3, 2), however: 'mine' is (2, 3)",
        ),
        (
            game(np.zeros((4, 3))),
            {"scores": {"mine": np.full((3, 2), np.nan)}},
            "scores of modalities that are there are finite, however: 'mine' holds NaN or infinity",
        ),
        (
            game(np.zeros((4, 3, 2))),
            {},
            "a curve of values follows one number, however: there are 2 outputs that are no probabilities; choose "
            'measure="nearness"',
        ),
        (
            game(np.zeros((4, 3))),
            {"measure": "nearnes"},
            "measure is value or nearness, however: measure='nearnes'; did you mean \"nearness\"?",
        ),
    ],
)
def test_what_cannot_be_ranked_is_refused(table: Coalitions, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        deletion_curves(table, **options)
    assert str(error.value) == sentence


def test_an_unknown_ranking_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError) as error:
        deletion_curves(game(BY_HAND)).compared("shapley")
    assert str(error.value) == ('a ranking of these curves is compared, however: "shapley"; did you mean "Shapley"?')


# --- comprehensiveness and sufficiency ------------------------------------------------------------


def test_comprehensiveness_and_sufficiency_by_hand() -> None:
    found = eraser(game(BY_HAND), {"c first": np.array([[1.0, 2.0, 3.0]])})
    assert found.sizes == (1, 2)
    # c: 10 - v(ab) = 4, 10 - v(c) = 9;  c and b: 10 - v(a) = 6, 10 - v(bc) = 7
    assert found.comprehensiveness["c first"].tolist() == [[4.0, 6.0]]
    assert found.sufficiency["c first"].tolist() == [[9.0, 7.0]]
    rows = {row["ranking"]: row for row in found.rows()}
    assert (rows["c first"]["comprehensiveness"], rows["c first"]["sufficiency"]) == (5.0, 8.0)
    # a, then c: 10 - v(bc) = 7, 10 - v(b) = 8; 10 - v(a) = 6, 10 - v(ac) = 2
    assert found.comprehensiveness["Shapley"].tolist() == [[7.0, 8.0]]
    assert found.sufficiency["Shapley"].tolist() == [[6.0, 2.0]]
    assert rows["Shapley"]["comprehensiveness_error"] is None
    assert found.text.splitlines()[0] == (
        "Shapley: the prediction falls by 7.5 without the top modalities and by 4 on them alone"
    )


def test_the_signs_what_is_needed_and_what_suffices() -> None:
    """One modality makes all of the prediction: without it everything falls, on it alone nothing does."""
    only_a = game(np.repeat([[0.0], [1.0], [0.0], [1.0]], 5, 1))
    rows = {r["ranking"]: r for r in eraser(only_a, {"wrong": np.array([[0.0, 1.0]] * 5)}).rows()}
    assert (rows["Shapley"]["comprehensiveness"], rows["Shapley"]["sufficiency"]) == (1.0, 0.0)
    assert (rows["wrong"]["comprehensiveness"], rows["wrong"]["sufficiency"]) == (0.0, 1.0)
    assert (rows["random"]["comprehensiveness"], rows["random"]["sufficiency"]) == (0.5, 0.5)


def test_the_points_are_those_of_the_curves() -> None:
    table = game(np.random.default_rng(2).normal(size=(16, 5)))
    curves, found = deletion_curves(table), eraser(table, sizes=(1, 3))
    for name in curves.deletion:
        whole = curves.deletion[name][0]
        assert np.allclose(found.comprehensiveness[name].mean(0), whole - curves.deletion[name][[1, 3]])
        assert np.allclose(found.sufficiency[name].mean(0), whole - curves.insertion[name][[1, 3]])


def test_a_sample_without_enough_modalities_skips_the_size() -> None:
    table = game(np.repeat(BY_HAND, 2, 1), [[True, True, True], [True, False, True]])
    found = eraser(table)
    assert found.comprehensiveness["Shapley"][1].tolist() == [8.0 - 1.0, pytest.approx(np.nan, nan_ok=True)]
    row = found.rows()[0]
    assert row["comprehensiveness"] == pytest.approx(np.mean([7.5, 7.0]))
    assert row["comprehensiveness_error"] == pytest.approx(stats.sem([7.5, 7.0]))


@pytest.mark.parametrize("sizes", [[], [0, 1], [1, 1], [2, 1], [3]])
def test_sizes_that_do_not_grow_between_one_and_all_but_one_are_refused(sizes: list[int]) -> None:
    with pytest.raises(InputError) as error:
        eraser(game(BY_HAND), sizes=sizes)
    assert str(error.value) == f"sizes grow, between 1 and 2, however: sizes={tuple(sizes)}"


def test_sizes_that_no_place_is_left_for_are_refused() -> None:
    table = game(np.repeat(BY_HAND, 2, 1), [[True, True, True], [True, False, True]])
    with pytest.raises(InputError) as error:
        eraser(table, sizes=[2])
    assert str(error.value) == (
        "every sample with two modalities has more than the smallest size, however: min(sizes)=2; start at 1"
    )


# --- two rules of removal -------------------------------------------------------------------------


def worthy(worth: list[float], removal: str, n: int = 29, seed: int = 0) -> Coalitions:
    subsets = np.arange(8)[:, None] >> np.arange(3) & 1
    adds = np.random.default_rng(seed).normal(worth, 0.1, size=(n, 3))
    return game(subsets @ adds.T, removal=removal)


def test_rankings_that_change_places_are_flagged() -> None:
    scores = {"mine": np.array([[3.0, 1.0, 2.0]] * 29), "yours": np.array([[3.0, 2.0, 1.0]] * 29)}
    flips = ranking_flips(worthy([3.0, 2.0, 1.0], "mask"), worthy([3.0, 1.0, 2.0], "mean"), scores)
    (pair,) = [pair for pair in flips.pairs if pair["clear"]]
    assert (pair["first"], pair["second"]) == ("yours", "mine")
    # b before c instead of c before b: after two steps of three, 1 more or less is left
    assert pair["under_first"][0] == pytest.approx(1 / 3, abs=0.05)
    assert pair["under_second"][0] == pytest.approx(-1 / 3, abs=0.05)
    assert flips.text == (
        'the removal rule decides here: "yours" is the better ranking under mask, and "mine" under mean (both by more '
        "than two standard errors)"
    )


def test_two_rules_that_agree_and_flips_within_the_error() -> None:
    same = ranking_flips(worthy([3.0, 2.0, 1.0], "mask"), worthy([5.0, 2.5, 1.0], "mean"))
    assert same.pairs == () and same.text == "mask and mean put the rankings in the same order"
    rng = np.random.default_rng(0)
    scores = {"one": rng.normal(size=(29, 3)), "other": rng.normal(size=(29, 3))}
    close = [
        ranking_flips(worthy([1.0, 1.0, 1.0], "mask", seed=s), worthy([1.0, 1.0, 1.0], "mean", seed=s + 50), scores)
        for s in range(20)
    ]
    unclear = [flips for flips in close if flips.pairs and not any(pair["clear"] for pair in flips.pairs)]
    assert unclear and all(
        flips.text == "mask and mean differ only where the differences lie within two standard errors: no claim"
        for flips in unclear
    )


def test_a_flip_is_clear_only_where_both_rules_are_sure_of_it() -> None:
    sure, unsure = np.array([1.0, 1.1, 0.9, 1.0]), np.array([1.0, -0.4, 1.2, 0.2])
    zero = np.zeros(4)
    for here, there, clear in ((sure, sure, True), (sure, unsure, False), (unsure, sure, False)):
        pair = turned("a", "b", {"a": zero, "b": here}, {"a": there, "b": zero})
        assert pair is not None and (pair["first"], pair["second"], pair["clear"]) == ("a", "b", clear)
        assert pair["under_first"][0] == pytest.approx(here.mean())
        assert pair["under_second"][0] == pytest.approx(-there.mean())
    assert turned("a", "b", {"a": zero, "b": sure}, {"a": zero, "b": sure}) is None


def test_two_tables_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(InputError) as error:
        ranking_flips(worthy([3.0, 2.0, 1.0], "mask"), game(np.zeros((4, 29)), removal="mean"))
    assert str(error.value) == "two rules are compared on the same modalities and samples, however: (29, 3) and (29, 2)"
    with pytest.raises(InputError) as error:
        ranking_flips(worthy([3.0, 2.0, 1.0], "mask"), worthy([3.0, 2.0, 1.0], "mask"))
    assert str(error.value) == 'two rules of removal are compared, however: both tables used "mask"'


# --- ranks ----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_the_rank_correlation_is_that_of_scipy_with_ties(m: int, seed: int) -> None:
    a, b = np.random.default_rng(seed).integers(0, 4, size=(2, m)).astype(float)
    assert ranked(a).tolist() == (stats.rankdata(a) - 1).tolist()
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert spearman(a, b) is None
    else:
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_the_correlation_of_each_sample_is_over_what_it_has() -> None:
    a = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [1.0, 2.0, 3.0]])
    b = np.array([[1.0, 2.0, 3.0], [3.0, 9.0, 1.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    present = np.array([[True] * 3, [True, False, True], [True] * 3, [True, False, False]])
    assert sample_spearman(a, b, present).tolist() == pytest.approx([1.0, -1.0, np.nan, np.nan], nan_ok=True)
    broken = sample_spearman(np.where(a == 2, np.inf, a), b, present)
    assert np.isnan(broken).tolist() == [True, False, True, True], "what is not there may hold anything"
    outputs = sample_spearman(np.stack([a, a], 2), np.stack([b, -b], 2), present)
    assert outputs.tolist() == pytest.approx([0.0, 0.0, np.nan, np.nan], nan_ok=True)


def test_the_standard_error_is_that_of_scipy_and_unknown_for_one() -> None:
    x = np.random.default_rng(0).normal(size=13)
    assert mean_and_error(x) == (pytest.approx(x.mean()), pytest.approx(stats.sem(x)))
    assert mean_and_error(x[:1]) == (x[0], None)


def test_what_is_no_table_is_refused_by_all_that_read_one() -> None:
    from intermodal.explain.erasing import eraser
    from intermodal.explain.flipping import ranking_flips
    from intermodal.explain.sensitivity import infidelity

    for call in (deletion_curves, eraser, lambda t: ranking_flips(t, t), lambda t: infidelity(t, np.zeros((1, 1)))):
        with pytest.raises(InputError) as error:
            call({})
        assert str(error.value) == "what `play` returns is read here, however: dict; write play(model, X)"
