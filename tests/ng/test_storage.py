"""Tensors that are not computed, and what every record offers."""

import numpy as np
import pytest

import gatewright.ng as ng
from gatewright.errors import DataError


@pytest.mark.parametrize("value", [np.arange(6), list(range(6)), (0, 1, 2, 3, 4, 5), np.arange(6.0)])
def test_values_take_the_shape_of_the_variable(value):
    v = ng.variable(ng.int8, (2, 3), name="v")
    v.set_value(value)
    assert v.value.shape == (2, 3)
    assert v.eval().tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "value of variable 'v' must be an array, list or tuple, not 'text'"),
        ([1, 2], r"value of variable 'v' must have shape \(2, 3\), not \(2,\)"),
        ([["a"] * 3] * 2, "value of variable 'v' must hold numbers, not <U1"),
    ],
)
def test_impossible_values(value, message):
    with pytest.raises(ValueError, match=message):
        ng.variable(ng.int8, (2, 3), name="v").set_value(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0.5], r"value of variable 'v' must be integers, not real numbers \(ng.quantize makes them integers\)"),
        ([128], "value of variable 'v' must fit int8, not be 128..128"),
    ],
)
def test_values_that_cannot_be_evaluated(value, message):
    v = ng.variable(ng.int8, (1,), name="v")
    v.set_value(value)
    with pytest.raises(DataError, match=message):
        v.eval()


@pytest.mark.parametrize(
    ("made", "expected", "dtype"),
    [
        (ng.zeros((2, 2)), [[0, 0], [0, 0]], None),
        (ng.ones((2,), ng.int8), [1, 1], ng.int8),
        (ng.full([3], 7, ng.uint4), [7, 7, 7], ng.uint4),
        (ng.constant([1, 2], shape=(2, 1)), [[1], [2]], None),
        (ng.constant(np.array(5), ng.int8), [5], ng.int8),
        (ng.zeros_imm((2,)), [0, 0], None),
        (ng.ones_imm(2, ng.int8), [1, 1], ng.int8),
        (ng.full_imm((2,), -3, ng.int4, "three", 1), [-3, -3], ng.int4),
    ],
)
def test_constants(made, expected, dtype):
    assert made.eval().tolist() == expected
    assert made.dtype == dtype


@pytest.mark.parametrize("kind", ["zeros", "ones", "full", "zeros_imm", "ones_imm", "full_imm"])
def test_constants_like_others(kind):
    fill = (9,) if kind.startswith("full") else ()
    made = getattr(ng, f"{kind}_like")(ng.placeholder(ng.int8, (2, 3)), *fill, ng.int16, "name")
    assert (made.shape, made.dtype, made.name) == ((2, 3), ng.int16, "name")
    assert set(made.eval().ravel().tolist()) == {{"z": 0, "o": 1, "f": 9}[kind[0]]}
    assert ng.is_elementwise_operator(made) == kind.endswith("imm")
    assert isinstance(made, getattr(ng, kind))


def test_a_number_must_fit_its_type():
    with pytest.raises(ValueError, match="fill_value must fit int4, not be 8"):
        ng.full_imm((1,), 8, ng.int4)


def test_records_know_their_surroundings():
    x = ng.placeholder(ng.int8, [2, 3], name="x")
    y = ng.reshape(ng.add(x, x), (6,))
    assert (x.shape, x.size, x.length) == ((2, 3), 6, 6)
    assert x.consumers == [y.args[0], y.args[0]]
    assert y.args[0].args == (x, x)
    assert y.get_original_shape() == (2, 3)
    assert (y.scale_factor, y.is_output, y.perm, y.reversed_perm, y.layout, y.onnx_layout) == (1, False, *[None] * 4)
    assert repr(x) == "<placeholder x dtype:int8 shape:(2, 3)>"


def test_layouts_reverse():
    x = ng.placeholder(ng.int8, (1,))
    x.perm = (0, 2, 3, 1)
    assert x.reversed_perm == [0, 3, 1, 2]


@pytest.mark.parametrize("name", ["aligned_shape", "aligned_length", "aligned_size", "memory_size"])
def test_there_is_no_alignment_before_there_is_a_bus(name):
    x = ng.placeholder(ng.int8, (3,), name="x")
    assert x.addr == -1
    assert (x.default_global_addr, x.default_local_addr, x.global_index, x.local_index) == (None,) * 4
    with pytest.raises(ValueError, match="alignment of placeholder 'x' is known after to_verilog, to_ipxact or"):
        getattr(x, name)


@pytest.mark.parametrize("shape", [(0, 2), "ab", 2.5, (-1,)])
def test_impossible_shapes(shape):
    with pytest.raises(ValueError, match="shape"):
        ng.placeholder(ng.int8, shape)


def test_inputs_must_have_a_shape():
    with pytest.raises(ValueError, match="placeholder 'x' must have a shape"):
        ng.placeholder(ng.int8, name="x")
