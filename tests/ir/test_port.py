"""Arrays of the model's world in and out of a graph."""

import json

import numpy as np
import pytest

from gatewright import ir


def nchw_port(**changes):
    attributes = {
        "name": "image",
        "model_dtype": "uint8",
        "model_shape": (None, 3, 2, 4),
        "permutation": (0, 2, 3, 1),
        "scale": 0.5,
        "model_zero_point": 128,
        "zero_point": 0,
        "type": ir.TensorType((1, 2, 4, 3), ir.I8),
    }
    return ir.Port(**(attributes | changes))


IMAGE = np.random.default_rng(0).integers(0, 256, (1, 3, 2, 4)).astype(np.uint8)


def test_arrays_of_the_model_type_are_taken_as_they_are():
    encoded = nchw_port().encode(IMAGE)
    assert encoded.dtype == np.int8
    np.testing.assert_array_equal(encoded, IMAGE.transpose(0, 2, 3, 1).astype(int) - 128)


def test_decode_is_the_inverse():
    port = nchw_port()
    decoded = port.decode(port.encode(IMAGE))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, IMAGE)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_quantised_half_to_even_and_saturate(dtype):
    port = ir.Port("x", "float32", (None, 5), None, 0.5, 128, 0, type=ir.TensorType((1, 5), ir.I8))
    x = np.array([[0.25, 0.75, -0.25, 1000, -1000]], dtype)
    assert port.encode(x).tolist() == [[0, 2, 0, 127, -128]]


def test_reshape_after_the_permutation():
    port = nchw_port(type=ir.TensorType((1, 24), ir.I8))
    encoded = port.encode(IMAGE)
    np.testing.assert_array_equal(encoded.ravel(), IMAGE.transpose(0, 2, 3, 1).ravel().astype(int) - 128)
    np.testing.assert_array_equal(port.decode(encoded), IMAGE)


def test_float_outputs_are_dequantised():
    port = ir.Port("y", "float32", (1, 3), scale=0.25, model_zero_point=10, zero_point=-118)
    port = ir.Port(**{**vars(port), "type": ir.TensorType((1, 3), ir.I8)})
    decoded = port.decode(np.array([[-128, -118, 127]], np.int8))
    assert decoded.dtype == np.float32
    assert decoded.tolist() == [[-2.5, 0.0, 61.25]]


def test_tail_runs_in_order():
    tail = (
        ir.HostStep("dequantize", scale=0.1, zero_point=3),
        ir.HostStep("softmax", axis=1),
        ir.HostStep("quantize", scale=1 / 256, dtype="uint8"),
    )
    port = ir.Port("y", "uint8", (1, 3), model_zero_point=3, tail=tail, type=ir.TensorType((1, 3), ir.I8))
    x = np.array([[0, 10, 20]], np.int8)
    powers = np.exp(x.astype(np.float32) * np.float32(0.1))
    np.testing.assert_array_equal(port.decode(x), np.rint(powers / powers.sum() * 256).astype(np.uint8))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (ir.HostStep("argmax", axis=1), [2]),
        (ir.HostStep("argmax", axis=1, keepdims=True), [[2]]),
        (ir.HostStep("reshape", shape=(2, 2)), [[1, -5], [7, 7]]),
        (ir.HostStep("transpose", permutation=(1, 0)), [[1], [-5], [7], [7]]),
        (ir.HostStep("cast", dtype="float32"), [[1.0, -5.0, 7.0, 7.0]]),
    ],
)
def test_steps(step, expected):
    assert step.apply(np.array([[1, -5, 7, 7]])).tolist() == expected


@pytest.mark.parametrize(
    ("kind", "formula"),
    [
        ("log_softmax", lambda x: x - np.log(np.exp(x).sum())),
        ("softmax", lambda x: np.exp(x) / np.exp(x).sum()),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_float_steps(kind, formula):
    x = np.array([-2.0, 0.5, 3.0], np.float32)
    result = ir.HostStep(kind).apply(x)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, formula(x.astype(np.float64)), rtol=1e-6)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            IMAGE.astype(np.int16),
            r"image: array must be uint8 or floating point of shape \[1,3,2,4\], not int16",
        ),
        (IMAGE[0], r"of shape \[1,3,2,4\], not uint8 of shape \[3,2,4\]"),
        (IMAGE.transpose(0, 2, 3, 1), r"of shape \[1,3,2,4\], not uint8 of shape \[1,2,4,3\]"),
        (np.full(IMAGE.shape, np.nan), "image: values must be numbers, not NaN"),
        (np.full(IMAGE.shape, "a"), "array must be uint8 or floating point"),
    ],
)
def test_other_arrays_are_refused(array, message):
    with pytest.raises(ir.DataError, match=message):
        nchw_port().encode(array)


def test_integers_for_a_float_model_are_refused():
    port = ir.Port("x", "float32", (2,), scale=1.0, type=ir.TensorType((2,), ir.I8))
    with pytest.raises(ir.DataError, match=r"x: array must be floating point of shape \[2\], not int8 of shape \[2\]"):
        port.encode(np.zeros(2, np.int8))


def test_values_beyond_the_graph_type_are_refused():
    port = ir.Port("x", "int8", (2,), type=ir.TensorType((2,), ir.I4))
    with pytest.raises(ir.DataError, match=r"x: values must be -8\.\.7, not -3\.\.8"):
        port.encode(np.array([-3, 8], np.int8))


def test_decode_wants_the_graph_shape():
    with pytest.raises(ir.DataError, match=r"image: integers must be i8\[1,2,4,3\], not \[1, 3, 2, 4\]"):
        nchw_port().decode(IMAGE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"permutation": (0, 1, 2)}, r"permutation must order the axes 0\.\.3, not \(0, 1, 2\)"),
        ({"scale": 0.0}, r"scale must be positive, not 0\.0"),
        ({"model_dtype": "colour"}, "model_dtype must be a type, not 'colour'"),
        ({"model_shape": (None, 3, 2, 5)}, r"model shape \[\?,3,2,5\] must fit i8\[1,2,4,3\]"),
        ({"model_shape": (2, 3, 2, 4)}, r"model shape \[2,3,2,4\] must fit i8\[1,2,4,3\]"),
    ],
)
def test_impossible_ports_are_refused(changes, message):
    with pytest.raises(ir.GraphError, match=message):
        nchw_port(**changes).check()


def test_several_free_dimensions_come_from_the_graph():
    assert nchw_port(model_shape=(None, 3, None, None)).concrete_shape == (1, 3, 2, 4)


def test_unknown_steps_are_refused():
    with pytest.raises(ir.GraphError, match=r"kind of a host step must be one of dequantize, .*, not 'dance'"):
        ir.HostStep("dance")


def test_json_round_trip():
    tail = (ir.HostStep("dequantize", scale=0.1), ir.HostStep("reshape", shape=(1, 3)))
    for port in (nchw_port(tail=tail), ir.Port("x", "float32", (None,))):
        assert ir.Port.from_json(json.loads(json.dumps(port.to_json()))) == port


def test_head_comes_before_quantisation_and_bounds_after_it():
    head = (ir.HostStep.affine([2.0], [-1.0]),)
    type = ir.TensorType((1, 4), ir.IntType(2))
    port = ir.Port("x", "float32", (1, 4), scale=0.5, type=type, head=head, low=-1)
    x = np.array([[0.0, 0.3, 0.7, 9.0]], np.float32)
    assert port.encode(x).tolist() == [[-1, -1, 1, 1]]
    np.testing.assert_array_equal(port.encode(port.decode(port.encode(x))), port.encode(x))
    assert ir.Port.from_json(port.to_json()) == port


def test_sign_of_zero_is_one():
    type = ir.TensorType((3,), ir.IntType(2))
    port = ir.Port("x", "float32", (3,), scale=1.0, type=type, head=(ir.HostStep("sign"),), low=-1)
    assert port.encode(np.float32([-0.1, 0.0, 7.0])).tolist() == [-1, 1, 1]


def test_affine_tail_has_numbers_a_channel():
    tail = (ir.HostStep.affine([0.5, 2.0], [1.0, -1.0], axis=1),)
    port = ir.Port("y", "float32", (1, 2, 1), scale=2.0, tail=tail, type=ir.TensorType((1, 2, 1), ir.I32))
    assert port.decode(np.array([[[4], [3]]])).tolist() == [[[3.0], [5.0]]]
    with pytest.raises(ir.GraphError, match="an affine step must have factors and as many offsets"):
        ir.HostStep("affine", factors=(1.0,)).apply(np.zeros(2))


def test_what_the_host_adds_is_no_scale():
    type = ir.TensorType((3,), ir.I8)
    plain = ir.Port("x", "float32", (3,), scale=1.0, type=type)
    assert not plain.offset_by_host
    assert ir.Port("x", "float32", (3,), scale=1.0, type=type, head=(ir.HostStep("sign"),)).offset_by_host
    assert ir.Port("y", "float32", (3,), type=type, tail=(ir.HostStep.affine([2.0], [1.0]),)).offset_by_host
