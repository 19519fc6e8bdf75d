from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from intermodal.report.figures import decimals, exact, figure, reasons


@given(st.floats(-1e5, 1e5), st.integers(0, 6))
def test_the_last_printed_digit_is_the_right_one(value, digits):
    shown = figure(value, digits)
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)
    if rounded or value == 0:
        assert Decimal(shown) == rounded
    else:
        assert abs(Fraction(shown) - Fraction(value)) <= abs(Fraction(value)) / 19


@given(st.floats(allow_nan=False, allow_infinity=False).filter(bool), st.integers(0, 6))
def test_a_number_other_than_zero_is_never_shown_as_zero(value, digits):
    assert float(figure(value, digits)) != 0
    assert ("-" in figure(value, digits).split("e")[0]) == (value < 0)


def test_minus_zero_is_shown_without_a_sign():
    assert figure(-0.0, 3) == "0.000"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_all_digits_read_back_equal(value):
    assert float(exact(value)) == value


def test_numbers_of_other_libraries_are_numbers():
    assert figure(Fraction(1, 3), 2) == "0.33"
    assert decimals([Fraction(1, 3)]) == 3


def test_each_sort_of_gap_gets_one_reason_in_a_fixed_order():
    found = reasons([float("-inf"), 1.0, None, float("nan"), None, float("inf")])
    assert [sentence.split()[0] for sentence in found] == ["–", "NaN", "∞"]
    assert reasons([0.0, "x", True]) == ()
