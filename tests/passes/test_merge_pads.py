"""Padding joins its readers where it inserts the same value; other readers keep it."""

import pytest

from gatewright import passes

WINDOWS_BEFORE = """\
graph "g"
input x: u8[1,4,4,1]
constant w: i8[1,3,3,1] = [[[[1], [2], [3]], [[4], [5], [6]], [[7], [8], [9]]]]
padded = pad(x, pads=((0, 0), (1, 2), (0, 1), (0, 0)), value=128) -> u8[1,7,5,1]
acc = conv2d(padded, w, pads=(1, 1, 0, 0), x_zero=128) -> i32[1,6,4,1]
other = conv2d(padded, w) -> i32[1,5,3,1]
mean = average_pool(padded, kernel=(2, 2), strides=(1, 1), pads=(0, 0, 0, 0), x_zero=128, multipliers=((4, 1),), \
shift=2, zero=0, low=0, high=255, rounding=half_even, dtype=u8) -> u8[1,6,4,1]
output acc
output other
output mean
"""
WINDOWS_AFTER = """\
graph "g"
input x: u8[1,4,4,1]
constant w: i8[1,3,3,1] = [[[[1], [2], [3]], [[4], [5], [6]], [[7], [8], [9]]]]
padded = pad(x, pads=((0, 0), (1, 2), (0, 1), (0, 0)), value=128) -> u8[1,7,5,1]
acc = conv2d(x, w, pads=(2, 1, 2, 1), x_zero=128) -> i32[1,6,4,1]
other = conv2d(padded, w) -> i32[1,5,3,1]
mean = average_pool(x, kernel=(2, 2), strides=(1, 1), pads=(1, 0, 2, 1), x_zero=128, multipliers=((4, 1),), shift=2, \
zero=0, low=0, high=255, rounding=half_even, dtype=u8, count_include_pad=True) -> u8[1,6,4,1]
output acc
output other
output mean
"""

PADS_AND_MAX_POOL_BEFORE = """\
graph "g"
input x: i8[1,4,4,1]
a = pad(x, pads=((0, 0), (1, 0), (0, 0), (0, 0)), value=-128) -> i8[1,5,4,1]
b = pad(a, pads=((0, 0), (0, 1), (2, 0), (0, 0)), value=-128) -> i8[1,6,6,1]
y = max_pool(b, kernel=(3, 3), strides=(3, 3)) -> i8[1,2,2,1]
output y
"""
PADS_AND_MAX_POOL_AFTER = """\
graph "g"
input x: i8[1,4,4,1]
y = max_pool(x, kernel=(3, 3), strides=(3, 3), pads=(1, 2, 1, 0)) -> i8[1,2,2,1]
output y
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(WINDOWS_BEFORE, WINDOWS_AFTER, id="windows"),
        pytest.param(PADS_AND_MAX_POOL_BEFORE, PADS_AND_MAX_POOL_AFTER, id="pads and max pool"),
    ],
)
def test_text(before, after, check_pass):
    check_pass(passes.merge_pads, before, after)
