"""Every printed digit is right: against mpmath, at the ties, and where numbers are too close to see."""

import os
import random
from decimal import Decimal
from fractions import Fraction

import mpmath
import pytest

from intermodal.explain.trace import trace
from intermodal.explain.trace_numbers import Sum, nearest_float, quotient, root_of, rounded, sign, written

N = int(os.environ.get("INTERMODAL_TRACES", "2000"))
DIGITS = 10


def exactly(number: Fraction | float) -> mpmath.mpf:
    number = Fraction(number)
    return mpmath.mpf(number.numerator) / number.denominator


def nearest(value: mpmath.mpf) -> int:
    """The nearest integer; what lies within 1e-90 of a middle is one that binary digits missed, and goes to even."""
    twice = mpmath.nint(2 * value)
    return int(mpmath.nint(twice / 2 if abs(2 * value - twice) < mpmath.mpf(10) ** -90 else value))


def as_decimal(value: mpmath.mpf, digits: int) -> str:
    whole = nearest(value * mpmath.mpf(10) ** digits)
    text = f"{abs(whole):0{digits + 1}d}"
    return f"{'-' * (whole < 0)}{text[:-digits]}.{text[-digits:]}"


def same(printed: str, value: mpmath.mpf, digits: int) -> bool:
    if printed[0] in "<>":
        bound = mpmath.mpf(10) ** -998
        return 0 < value < bound if printed == "<1e-998" else printed == ">-1e-998" and -bound < value < 0
    if "e-" in printed:  # two significant digits of a number that would be all zeros
        mantissa, power = printed.split("e")
        return Decimal(mantissa) == Decimal(nearest(value * mpmath.mpf(10) ** (1 - int(power)))) / 10
    if "." not in printed or len(printed.split(".")[1]) < digits:  # it claims to be exact
        return abs(exactly(Fraction(printed)) - value) < mpmath.mpf(10) ** -100
    return printed == as_decimal(value, digits)


def by_mpmath(q, k, v, keep, scale):
    """Attention as it stands in the textbook, for one query, without subtracting anything."""
    factor = 1 / mpmath.sqrt(len(q)) if scale else mpmath.mpf(1)
    scores = [sum(exactly(Fraction(a) * Fraction(b)) for a, b in zip(q, key, strict=True)) for key in k]
    scaled = [s * factor for s in scores]
    powers = [mpmath.exp(s) if kept else mpmath.mpf(0) for s, kept in zip(scaled, keep, strict=True)]
    total = sum(powers)
    weights = [p / total for p in powers]
    output = [sum(w * exactly(row[e]) for w, row in zip(weights, v, strict=True)) for e in range(len(v[0]))]
    top = max(s for s, kept in zip(scaled, keep, strict=True) if kept)
    return {
        "score": scores,
        "scale": scaled,
        "exp": [mpmath.exp(s - top) if kept else mpmath.mpf(0) for s, kept in zip(scaled, keep, strict=True)],
        "sum": [sum(mpmath.exp(s - top) for s, kept in zip(scaled, keep, strict=True) if kept)],
        "weight": weights,
        "output": output,
    }


def random_input(rng: random.Random):
    """Sizes and kinds of numbers that differ: short decimals, floats, large scores, equal keys, hidden keys."""
    kind = rng.choice(["decimal", "float", "whole", "large"])

    def number():
        if kind == "decimal":
            return Fraction(rng.randint(-500, 500), 100)
        if kind == "float":
            return rng.gauss(0, 1)
        return rng.randint(-3, 3) if kind == "whole" else rng.randint(-30, 30)

    d, n, e = rng.choice([1, 2, 3, 4, 5]), rng.randint(1, 5), rng.randint(1, 3)
    q = [number() for _ in range(d)]
    k, v = [[number() for _ in range(d)] for _ in range(n)], [[number() for _ in range(e)] for _ in range(n)]
    if n > 2 and rng.random() < 0.2:
        k[1] = k[0]
    keep = [rng.random() < 0.8 for _ in range(n)]
    keep[rng.randrange(n)] = True
    return q, k, v, keep, rng.random() < 0.7


@pytest.mark.parametrize("seed", range(4))
def test_every_printed_digit_is_right(seed):
    rng = random.Random(seed)
    checked = 0
    with mpmath.workdps(150):
        for _ in range(N // 4):
            q, k, v, keep, scale = random_input(rng)
            digits = rng.choice([1, 3, 4, DIGITS, DIGITS, 17])
            steps = {s["name"]: s for s in trace(q, k, v, scale=scale, keep=keep, digits=digits).steps}
            for name, values in by_mpmath(q, k, v, keep, scale).items():
                for printed, number, value in zip(steps[name]["values"], steps[name]["floats"], values, strict=True):
                    assert same(printed, value, digits), (name, printed, value, q, k, v, keep, scale, digits)
                    assert abs(number - float(value)) <= abs(float(value)) * 2.3e-16 + 1e-130, (name, number, value)
                    checked += 1
    assert checked > 5 * (N // 4)


def test_the_comparison_sees_one_unit_in_the_last_place():
    with mpmath.workdps(150):
        value = mpmath.mpf(2) / 3
        assert same("0.6667", value, 4) and same("6.7e-1", value, 1)
        assert not same("0.6666", value, 4) and not same("0.6668", value, 4) and not same("6.6e-1", value, 1)
        assert not same("0.5", value, 4)  # bare: it claims to be exact
        assert same("0.5", mpmath.mpf(1) / 2, 4)


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [
        (Fraction(1, 8), 2, "0.12"),  # ties go to the even digit, as in Python's own formatting
        (Fraction(3, 8), 2, "0.38"),
        (Fraction(-1, 8), 2, "-0.12"),
        (Fraction(1, 8), 3, "0.125"),
        (Fraction(1, 8), 5, "0.125"),
        (Fraction(2, 3), 1, "0.7"),
        (Fraction(299999, 100000), 3, "3.000"),
        (Fraction(-1, 10**6), 3, "-1.0e-6"),
        (Fraction(9996, 10**8), 3, "1.0e-4"),
        (Fraction(10**15), 4, "1000000000000000"),
        (Fraction(0), 4, "0"),
    ],
)
def test_fractions(number, digits, text):
    assert written(number, digits) == text


def test_a_root_is_rounded_by_whole_numbers():
    with mpmath.workdps(80):
        for m in (2, 3, 5, 7, 11, 13):
            for factor in (Fraction(1), Fraction(-7, 3), Fraction(10**12, 7)):
                assert written(root_of(factor, m), 30) == as_decimal(exactly(factor) * mpmath.sqrt(m), 30)


@pytest.mark.parametrize("distance", [10**9, 10**30])
def test_a_tie_that_no_precision_sees_is_decided(distance):
    """w1 * 0.25 + w2 * 10 with w2 = e^(-10^9): the tie 0.25 and a little, which 400 million digits would show."""
    far = -Fraction(distance)
    total = Sum.of([(Fraction(0), Fraction(1)), (far, Fraction(1))], 2)
    assert written(quotient([(Fraction(0), Fraction(1, 4)), (far, Fraction(10))], total), 1) == "0.3"
    assert written(quotient([(Fraction(0), Fraction(1, 4)), (far, Fraction(-10))], total), 1) == "0.2"
    assert written(quotient([(Fraction(0), Fraction(1, 4)), (far, Fraction(1, 4))], total), 1) == "0.2"  # exactly 1/4


@pytest.mark.parametrize("places", [40, 200])
def test_numbers_just_beside_the_middle_are_told_apart(places):
    """The coefficient is e itself to many digits, cut and raised: the sum lies just below and just above the middle."""
    with mpmath.workdps(300):
        e = int(mpmath.floor(mpmath.e * mpmath.mpf(10) ** places))
    one = Sum.of([(Fraction(0), Fraction(1))], 1)
    for whole, nearest in ((e, 0), (e + 1, 1)):
        share = quotient([(Fraction(-1), Fraction(whole, 2 * 10**places))], one)
        assert rounded(share, 0) == (nearest, False)


def test_equal_sums_are_fractions_whatever_is_in_them():
    x, y = Fraction(-1), Fraction(-2)
    total = Sum.of([(x, Fraction(3)), (y, Fraction(6))], 5)
    assert quotient([(x, Fraction(1)), (y, Fraction(2))], total) == Fraction(1, 3)
    assert quotient([(x, Fraction(0))], total) == 0
    assert not isinstance(quotient([(x, Fraction(1)), (y, Fraction(1))], total), Fraction)


def test_the_sign_of_a_sum():
    assert sign([(Fraction(1), Fraction(1)), (Fraction(1), Fraction(-1))], 2) == 0
    assert sign([(Fraction(5), Fraction(-1)), (Fraction(4), Fraction(2))], 1) == -1  # -e^5 + 2 e^4
    assert sign([(Fraction(5), Fraction(-1)), (Fraction(4), Fraction(3))], 1) == 1
    assert sign([(Fraction(-(10**30)), Fraction(-1)), (Fraction(0), Fraction(1))], 2) == 1


def test_what_is_smaller_than_any_float_is_not_zero():
    one = Sum.of([(Fraction(0), Fraction(1))], 1)
    tiny = quotient([(Fraction(-10000), Fraction(-1))], one)
    assert written(tiny, 10) == ">-1e-998"
    assert written(quotient([(Fraction(-10000), Fraction(1))], one), 10) == "<1e-998"
    assert nearest_float(tiny) == 0.0
    assert written(quotient([(Fraction(-1000), Fraction(1))], one), 10) == "5.1e-435"


def test_the_settings_of_the_decimal_module_do_not_matter():
    import decimal

    expected = trace("1 2", "2 3; 1 0").steps
    with decimal.localcontext() as context:
        context.prec = 3
        assert trace("1 2", "2 3; 1 0").steps == expected
