import base64
import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodal.report.payload import data_script, nine, packed


def read(element):
    start, end = '<script type="application/json">', "</script>"
    assert element.startswith(start) and element.endswith(end)
    return element[len(start) : -len(end)]


@given(st.text().filter(lambda text: text.isprintable()))
def test_a_text_reads_back_and_cannot_end_its_element(text):
    inside = read(data_script([text, f"</script>{text}<!--"]))
    assert not set(inside) & set("<>&\u2028\u2029")
    assert json.loads(inside) == [text, f"</script>{text}<!--"]


def test_numbers_that_json_lacks_are_words_and_a_gap_is_null():
    assert read(data_script([math.nan, math.inf, -math.inf, None, 3, True])) == (
        '["NaN","Infinity","-Infinity",null,3,true]'
    )


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_nine_digits_give_every_float32_back(value):
    assert struct.pack("f", nine(value)) == struct.pack("f", value)


@pytest.mark.parametrize(("rows", "columns", "bits"), [(3, 7, 32), (2, 20_000, 32), (2, 20_001, 16)])
def test_a_very_long_table_takes_half_the_room_and_tells_its_drift(rows, columns, bits):
    numbers = [[(1 + (7 * r + c) % 11) / 66.6 for c in range(columns)] for r in range(rows)]
    made = packed(numbers)
    form = "f" if bits == 32 else "e"
    back = struct.unpack(f"<{rows * columns}{form}", base64.b64decode(made["data"]))
    assert made["bits"] == bits
    assert len(base64.b64decode(made["data"])) == rows * columns * bits // 8
    assert max(abs(a - b) for a, b in zip(back, [v for row in numbers for v in row], strict=True)) < 1e-3
    sums = [abs(math.fsum(row) - math.fsum(back[i * columns : (i + 1) * columns])) for i, row in enumerate(numbers)]
    assert made["drift"] == max(sums) > 0


def test_a_gap_is_a_nan():
    assert math.isnan(struct.unpack("<f", base64.b64decode(packed([[None]])["data"]))[0])
