"""Pools against the definition, a window at a time."""

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

import gatewright.ng as ng
from gatewright.ng.pools import exact_mean


def windows(x, ksize, strides, pads):
    """The elements of each window inside the image, [N, OH, OW, C] lists; pads (top, bottom, left, right)."""
    batch, height, width, channels = x.shape
    rows = (height + pads[0] + pads[1] - ksize[0]) // strides[0] + 1
    columns = (width + pads[2] + pads[3] - ksize[1]) // strides[1] + 1
    found = np.empty((batch, rows, columns, channels), object)
    for n, p, q, c in np.ndindex(*found.shape):
        top, left = p * strides[0] - pads[0], q * strides[1] - pads[2]
        part = x[n, max(top, 0) : max(top + ksize[0], 0), max(left, 0) : max(left + ksize[1], 0), c]
        found[n, p, q, c] = [int(value) for value in part.ravel()]
    return found


def mean(values, count):
    return int((Decimal(sum(values)) / count).quantize(Decimal(0), ROUND_HALF_UP))


def pooled(kind, x, ksize, strides, pads, dtype):
    if kind.startswith("max"):
        function = lambda values: max(values, default=dtype.integer.min)  # noqa: E731
    else:
        function = lambda values: mean(values, ksize[0] * ksize[1])  # noqa: E731
    return np.vectorize(function, otypes=[np.int64])(windows(x, ksize, strides, pads))


@pytest.mark.parametrize("seed", range(32))
def test_pools(seed):
    random = np.random.default_rng(seed)
    kind = ["max_pool", "avg_pool", "max_pool_serial", "avg_pool_serial"][seed % 4]
    dtype = random.choice([ng.int8, ng.uint8, ng.int16])
    height, width, channels = random.integers(3, 9, 3).tolist()
    ksize, strides = random.integers(1, 4, 2).tolist(), random.integers(1, 4, 2).tolist()
    if kind.endswith("serial"):
        strides = [max(pair) for pair in zip(ksize, strides, strict=True)]
    pads = random.integers(0, 2, 4).tolist()
    x = random.integers(dtype.integer.min, dtype.integer.max + 1, (2, height, width, channels))
    y = getattr(ng, kind)(ng.placeholder(dtype, x.shape, name="x"), (1, *ksize, 1), (1, *strides, 1), pads)
    assert y.dtype == dtype
    np.testing.assert_array_equal(ng.eval([y], x=x)[0], pooled(kind, x, ksize, strides, pads, dtype))


@pytest.mark.parametrize(("size", "ksize", "stride", "pads"), [(4, 3, 2, (0, 1)), (5, 3, 2, (1, 1)), (4, 2, 1, (0, 1))])
@pytest.mark.parametrize("kind", ["max_pool", "avg_pool"])
def test_same_padding_puts_the_odd_pixel_last(kind, size, ksize, stride, pads):
    image = np.random.default_rng(0).integers(-128, 128, (1, size, size, 2))
    x = ng.placeholder(ng.int8, image.shape, name="x")
    shape = (1, ksize, ksize, 1), (1, stride, stride, 1)
    same, given = (getattr(ng, kind)(x, *shape, padding) for padding in ("SAME", (*pads, *pads)))
    np.testing.assert_array_equal(*ng.eval([same, given], x=image))
    assert same.shape == (1, -(-size // stride), -(-size // stride), 2)


def test_rows_and_columns_have_strides_of_their_own():
    """NNgen's own evaluation strides rows as columns."""
    x = ng.placeholder(ng.int8, (1, 6, 6, 1), name="x")
    assert ng.max_pool(x, (1, 1, 1, 1), (1, 2, 3, 1)).shape == (1, 3, 2, 1)
    assert ng.eval([ng.max_pool(x, (1, 1, 1, 1), (1, 2, 3, 1))], x=np.arange(36))[0].ravel().tolist() == [
        0,
        3,
        12,
        15,
        24,
        27,
    ]


def test_large_means_do_not_overflow():
    """NNgen's hardware sums 7 x 7 pixels of 8 bits in 8 bits."""
    x = np.full((1, 7, 7, 1), -128)
    y = ng.avg_pool(ng.placeholder(ng.int8, x.shape, name="x"), (1, 7, 7, 1), (1, 7, 7, 1))
    assert ng.eval([y], x=x)[0].item() == -128


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 25, 36, 49, 100, 196])
@pytest.mark.parametrize("largest", [1, 130, 4000])
def test_the_mean_is_exact_for_every_sum(count, largest):
    mul, shift = exact_mean(count, largest * count)
    for total in range(-largest * count, largest * count + 1, 1 if largest * count < 10**4 else 37):
        product = abs(total) * mul
        found = (product + (1 << shift >> 1)) >> shift
        assert found == (2 * abs(total) + count) // (2 * count), total


@pytest.mark.parametrize("count", [3, 6, 7, 49, 196, 1000])
def test_the_mean_is_exact_at_the_edge(count):
    """Largest sums of 16 bits, next to ties."""
    largest = (1 << 15) * count
    mul, shift = exact_mean(count, largest)
    for tie in (largest - count // 2, largest - count, largest // 2, largest // 3):
        for total in range(tie - 3, tie + 4):
            assert (total * mul + (1 << shift >> 1)) >> shift == (2 * total + count) // (2 * count)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: ng.max_pool(x, (1, 2, 2), (1, 2, 2, 1)), r"ksize must be \(1, rows, columns, 1\), not \(1, 2, 2\)"),
        (lambda x: ng.max_pool(x, (1, 2, 2, 1), (1, 2, 2, 2)), r"strides must be \(1, rows, columns, 1\), not"),
        (lambda x: ng.avg_pool_serial(x, (1, 3, 3, 1), (1, 2, 2, 1)), "avg_pool_serial: ksize must be at most strides"),
        (lambda x: ng.max_pool(x, (1, 9, 9, 1), (1, 1, 1, 1), "VALID"), "max_pool None: a window of .* must fit"),
        (lambda x: ng.max_pool(x, (1, 2, 2, 1), (1, 2, 2, 1), "FULL"), "padding must be 'SAME', 'VALID', a number"),
        (lambda x: ng.max_pool(x, (1, 2, 2, 1), (1, 2, 2, 1), value_ram_size=0), "value_ram_size must be at least 1"),
    ],
)
def test_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make(ng.placeholder(ng.int8, (1, 4, 4, 2)))


def test_a_declared_sum_must_hold_the_sum():
    x = ng.placeholder(ng.int8, (1, 7, 7, 1), name="x")
    y = ng.avg_pool(x, (1, 7, 7, 1), (1, 7, 7, 1), sum_dtype=ng.int8, name="mean")
    with pytest.raises(ValueError, match=r"avg_pool 'mean': sum_dtype must hold sums of -6272\.\.6223, not be int8"):
        ng.eval([y], x=np.zeros(x.shape, int))
