"""Only a factor of exactly 1 folds."""

import pytest

from gatewright import passes

UNIT_BEHIND_BEFORE = """\
graph "g"
input x: i32[1,4]
constant mul: u32[1] = [3]
constant shift: u8[1] = [4]
constant one: u32[1] = [16]
q = requantise(x, mul, shift, zero=-10, low=-128, high=127, rounding=half_even, dtype=i8) -> i8[1,4]
unsigned = requantise(q, one, shift, zero=128, low=100, high=255, rounding=floor, dtype=u8, x_zero=-10) -> u8[1,4]
output unsigned
"""
UNIT_BEHIND_AFTER = """\
graph "g"
input x: i32[1,4]
constant mul: u32[1] = [3]
constant shift: u8[1] = [4]
unsigned = requantise(x, mul, shift, zero=128, low=100, high=255, rounding=half_even, dtype=u8) -> u8[1,4]
output unsigned
"""

UNIT_IN_FRONT_BEFORE = """\
graph "g"
input x: u8[1,4]
constant mul: u32[1] = [3]
constant shift: u8[1] = [4]
constant one: u32[1] = [16]
signed = requantise(x, one, shift, zero=-28, low=-128, high=127, rounding=floor, dtype=i8, x_zero=100) -> i8[1,4]
q = requantise(signed, mul, shift, zero=5, low=-100, high=100, rounding=half_up, dtype=i8, x_zero=-28) -> i8[1,4]
output q
output signed
"""
UNIT_IN_FRONT_AFTER = """\
graph "g"
input x: u8[1,4]
constant mul: u32[1] = [3]
constant shift: u8[1] = [4]
constant one: u32[1] = [16]
signed = requantise(x, one, shift, zero=-28, low=-128, high=127, rounding=floor, dtype=i8, x_zero=100) -> i8[1,4]
q = requantise(x, mul, shift, zero=5, low=-100, high=100, rounding=half_up, dtype=i8, x_zero=100) -> i8[1,4]
output q
output signed
"""

INEXACT_STAYS_BEFORE = """\
graph "g"
input x: i32[1,4]
constant mul: u32[1] = [3]
constant shift: u8[1] = [4]
constant one: u32[1] = [16]
a = requantise(x, mul, shift, zero=0, low=-128, high=127, rounding=half_up, dtype=i8) -> i8[1,4]
b = requantise(a, mul, shift, zero=0, low=-128, high=127, rounding=half_up, dtype=i8) -> i8[1,4]
output b
"""
INEXACT_STAYS_AFTER = """\
graph "g"
input x: i32[1,4]
constant mul: u32[1] = [3]
constant shift: u8[1] = [4]
a = requantise(x, mul, shift, zero=0, low=-128, high=127, rounding=half_up, dtype=i8) -> i8[1,4]
b = requantise(a, mul, shift, zero=0, low=-128, high=127, rounding=half_up, dtype=i8) -> i8[1,4]
output b
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(UNIT_BEHIND_BEFORE, UNIT_BEHIND_AFTER, id="unit behind"),
        pytest.param(UNIT_IN_FRONT_BEFORE, UNIT_IN_FRONT_AFTER, id="unit in front"),
        pytest.param(INEXACT_STAYS_BEFORE, INEXACT_STAYS_AFTER, id="inexact stays"),
    ],
)
def test_text(before, after, check_pass):
    check_pass(passes.fold_requantise, before, after)
