import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodal.report.scale import round_up, scale

ANY = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(ANY, max_size=7), st.booleans())
def test_every_value_lies_on_the_axis_in_its_order(values, with_zero):
    axis = scale(values, include=[0.0] if with_zero else [])
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(axis.low <= value <= axis.high for value in values)
    assert all(0 <= place <= 100 for place in places)
    assert not with_zero or axis.low <= 0 <= axis.high


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=7, unique=True))
def test_ticks_are_evenly_spaced_inside_the_axis(values):
    axis = scale(values)
    assert len(axis.ticks) <= 8
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
    steps = [b - a for a, b in zip(axis.ticks, axis.ticks[1:], strict=False)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3) if steps else True


def test_lengths_are_proportional():
    axis = scale([2.0, 5.0, -1.0], include=[0.0])
    zero = axis.at(0.0)
    assert (axis.at(5.0) - zero) / (axis.at(2.0) - zero) == pytest.approx(2.5)
    assert (axis.at(-1.0) - zero) / (axis.at(2.0) - zero) == pytest.approx(-0.5)


def test_an_axis_that_begins_at_a_fixed_number_begins_exactly_there():
    assert scale([3.0, 7.0], include=[0.0]).low == 0.0
    assert scale([-3.0], include=[0.0]).high == 0.0


def test_the_largest_floats_have_an_axis():
    top = sys.float_info.max
    axis = scale([-top, top])
    assert (axis.at(-top), axis.at(0.0), axis.at(top)) == (0.0, 50.0, 100.0)


@given(st.floats(1e-300, 1e300))
def test_rounding_up_is_never_below_and_at_most_two_and_a_half_times(value):
    assert value <= round_up(value) <= 2.5 * value * (1 + 1e-12)


def test_a_round_number_stays():
    assert [round_up(v) for v in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 1e-7)] == [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 1e-7]
