"""Layout changes compose, become views, or move into weights."""

import pytest

from gatewright import passes

FLATTENED_IMAGE_BEFORE = """\
graph "g"
input x: i8[1,2,1,3]
constant w: i8[2,6] = [[0, 1, 2, 3, 4, 5], [10, 11, 12, 13, 14, 15]]
channels_first = transpose(x, permutation=(0, 3, 1, 2)) -> i8[1,3,2,1]
flat = reshape(channels_first, shape=(1, 6)) -> i8[1,6]
y = matmul(flat, w) -> i32[1,2]
output y
"""
FLATTENED_IMAGE_AFTER = """\
graph "g"
input x: i8[1,2,1,3]
constant w.reordered: i8[2,6] = [[0, 2, 4, 1, 3, 5], [10, 12, 14, 11, 13, 15]]
flat.reordered = reshape(x, shape=(1, 6)) -> i8[1,6]
y = matmul(flat.reordered, w.reordered) -> i32[1,2]
output y
"""

COMPOSITIONS_BEFORE = """\
graph "g"
input x: i8[2,3,4,5]
a = transpose(x, permutation=(0, 3, 1, 2)) -> i8[2,5,3,4]
b = transpose(a, permutation=(0, 2, 1, 3)) -> i8[2,3,5,4]
c = transpose(b, permutation=(0, 1, 3, 2)) -> i8[2,3,4,5]
d = reshape(c, shape=(6, 20)) -> i8[6,20]
e = reshape(d, shape=(120,)) -> i8[120]
output a
output b
output e
"""
COMPOSITIONS_AFTER = """\
graph "g"
input x: i8[2,3,4,5]
a = transpose(x, permutation=(0, 3, 1, 2)) -> i8[2,5,3,4]
b = transpose(x, permutation=(0, 1, 3, 2)) -> i8[2,3,5,4]
e = reshape(x, shape=(120,)) -> i8[120]
output a
output b
output e
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(FLATTENED_IMAGE_BEFORE, FLATTENED_IMAGE_AFTER, id="flattened image"),
        pytest.param(COMPOSITIONS_BEFORE, COMPOSITIONS_AFTER, id="compositions"),
    ],
)
def test_text(before, after, check_pass):
    check_pass(passes.cancel_transposes, before, after)
