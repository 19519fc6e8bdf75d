import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodal.report.domain import domain

ANY = st.floats(allow_nan=False, allow_infinity=False)


def test_weights_keep_the_whole_scale():
    found = domain([0.02, 0.61, 0.37])
    assert (found.low, found.high) == (0.0, 1.0)
    assert found.sentence() == "Colour runs from 0 to 1. The values here run from 0.020 to 0.610."


def test_signed_values_reach_equally_far_and_zero_is_in_the_middle():
    found = domain([-0.31, 0.12])
    assert (found.low, found.high) == (-0.5, 0.5)
    assert (found.level(0.0), found.level(0.5), found.level(-0.5)) == (128, 255, 1)


@given(st.lists(ANY, min_size=1, max_size=7))
def test_every_value_has_a_colour_and_order_is_kept(values):
    found = domain(values)
    levels = [found.level(value) for value in sorted(values)]
    assert levels == sorted(levels)
    assert all(0 <= level <= 255 for level in levels)
    assert found.low <= min(values) and max(values) <= found.high


@pytest.mark.parametrize("values", [[], [None], [math.nan, math.inf]])
def test_nothing_to_colour_is_said(values):
    assert domain(values).sentence() == "There is no finite value to colour."
