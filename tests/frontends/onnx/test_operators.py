"""Operators between DequantizeLinear and QuantizeLinear, in forms no quantiser of ours writes, against ONNX Runtime."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gatewright.frontends import run_reference
from gatewright.frontends.onnx import import_onnx
from gatewright.frontends.onnx.ops.function import FUNCTIONS

RNG = np.random.default_rng(0)
OPERANDS = {"PRelu": [np.float32(0.3)], "Pow": [np.float32(2)]}
DOMAINS = dict.fromkeys(["FastGelu", "QuickGelu"], "com.microsoft")
OPSETS = {"Mish": 18, "Gelu": 20, "Swish": 24}
UNDEFINED = ("Acos", "Asin", "Log", "Sqrt", "Reciprocal")  # not for every real number


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_functions_are_exact(kind: str, builder: Any, agree: Callable[..., Any]) -> None:
    build = builder(OPSETS.get(kind, 17))
    x = build.dequantise(build.input("x", (16, 16)), 0.003, -128 if kind in UNDEFINED else 5)
    x = build.node("Add", x, np.float32(0.01)) if kind in UNDEFINED else x
    domain = {"domain": DOMAINS[kind]} if kind in DOMAINS else {}
    y = build.quantise(build.node(kind, x, *OPERANDS.get(kind, []), **domain), 0.01, -50)
    found = agree(build.build(**{y: "int8"}))
    assert set(found.operators) <= {"lut", "clip"}
    assert found.largest == 0


@pytest.mark.parametrize("dtypes", ["int8-uint8", "uint8-int8"])
def test_tables_between_types(dtypes: str, builder: Any, agree: Callable[..., Any]) -> None:
    given, wanted = dtypes.split("-")
    build = builder()
    x = build.node("Sigmoid", build.dequantise(build.input("x", (16, 16), given), 0.03, 100, given))
    found = agree(build.build(**{build.quantise(x, 1 / 256, 0, wanted): wanted}))
    assert (found.operators, found.largest) == (["lut"], 0)


def test_steps_in_a_row_are_one_table(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (16, 16)), 0.04, 3)
    gate = build.node("Clip", build.node("Add", x, np.float32(3)), np.float32(0), np.float32(6))
    y = build.node("Div", build.node("Mul", x, gate), np.float32(6))
    found = agree(build.build(**{build.quantise(y, 0.03, -100): "int8"}))
    assert (found.operators, found.largest) == (["lut"], 0)


def test_gate_with_its_own_quantisation_is_one_table(builder: Any, agree: Callable[..., Any]) -> None:
    """x · sigmoid(x) as ONNX Runtime's quantiser writes it."""
    build = builder()
    x = build.dequantise(build.input("x", (16, 16)), 0.04, 3)
    gate = build.dequantise(build.quantise(build.node("Sigmoid", x), 1 / 256, -128), 1 / 256, -128)
    found = agree(build.build(**{build.quantise(build.node("Mul", x, gate), 0.03, -100): "int8"}))
    assert (found.operators, found.largest) == (["lut"], 0)


@pytest.mark.parametrize(("kind", "number"), [("Max", -0.7), ("Min", 0.6)])
def test_bound_by_a_number(kind: str, number: float, builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (16, 16)), 0.04, 3)
    y = build.quantise(build.node(kind, np.float32(number), x), 0.04, 3)
    found = agree(build.build(**{y: "int8"}))
    assert (found.operators, found.largest) == (["clip"], 0)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize(
    ("shape", "axes"), [((2, 5, 7, 3), (2, 3)), ((2, 5, 7, 3), (1, 2)), ((5, 7, 3), (1, 2)), ((5, 7), (1,))], ids=str
)
def test_mean_over_axes(
    shape: tuple[int, ...], axes: tuple[int, ...], keepdims: int, builder: Any, agree: Callable[..., Any]
) -> None:
    build = builder()
    x = build.dequantise(build.input("x", shape), 0.0513, 3)
    y = build.node("ReduceMean", x, axes=list(axes), keepdims=keepdims)
    found = agree(build.build(**{build.quantise(y, 0.0213, -5): "int8"}))
    assert "average_pool" in found.operators
    assert found.largest <= 1


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_pools(kind: str, dimensions: int, builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (2, 3, 11, 8)[: dimensions + 2]), 0.0513, 3)
    y = build.node(kind, x, kernel_shape=[3] * dimensions, strides=[2] * dimensions, ceil_mode=1)
    found = agree(build.build(**{build.quantise(y, 0.0313, 3): "int8"}))
    assert found.largest <= 1


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pools(kind: str, builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (2, 3, 5, 7)), 0.0513, 3)
    found = agree(build.build(**{build.quantise(build.node(kind, x), 0.0313, 3): "int8"}))
    assert found.largest <= 1


def test_padding_with_a_step_of_the_scale(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (2, 3, 5, 7)), 0.5, 3)
    y = build.node("Pad", x, np.array([0, 0, 1, 2, 0, 1, 0, 3]), np.float32(2.5))
    found = agree(build.build(**{build.quantise(y, 0.5, 3): "int8"}))
    assert (found.operators, found.largest) == (["pad"], 0)
    assert found.graph.nodes[0].op.value == 8


def test_slices_and_parts(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (2, 6, 8, 7)), 0.05, 3)
    first, second = build.node("Split", x, np.array([4, 2]), outputs=2, axis=1)
    first = build.node("Slice", first, np.array([1, -5]), np.array([100, -1]), np.array([2, 3]), np.array([3, 1]))
    ends = {build.quantise(first, 0.05, 3): "int8", build.quantise(second, 0.05, 3): "int8"}
    found = agree(build.build(**ends))
    assert (found.operators, found.largest) == (["slice", "slice", "slice"], 0)


MODES = [("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil")]


@pytest.mark.parametrize("scales", [(2, 3), (1, 2), (0.5, 0.5)], ids=str)
@pytest.mark.parametrize("modes", MODES, ids="-".join)
def test_resize(modes: tuple[str, str], scales: tuple[float, ...], builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (1, 3, 6, 8)), 0.05, 3)
    transform, rounding = modes
    factors = np.array([1, 1, *scales], np.float32)
    attributes = {"coordinate_transformation_mode": transform, "nearest_mode": rounding}
    y = build.node("Resize", x, "", factors, mode="nearest", **attributes)
    found = agree(build.build(**{build.quantise(y, 0.05, 3): "int8"}))
    assert found.operators in (["upsample"], ["slice"])
    assert found.largest == 0


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space(mode: str, builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.node("DepthToSpace", build.input("x", (1, 12, 3, 5)), blocksize=2, mode=mode)
    found = agree(build.build(**{build.node("SpaceToDepth", x, blocksize=2): "int8"}))
    assert found.largest == 0


def test_gemm_options(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (5, 3)), 0.05, 3)
    weights = build.dequantise(RNG.integers(-127, 128, (4, 5)).astype(np.int8), 0.01, 0)
    y = build.node("Gemm", x, weights, np.arange(4, dtype=np.float32), transA=1, transB=1, alpha=0.5, beta=2.0)
    found = agree(build.build(**{build.quantise(y, 0.1, 3): "int8"}))
    assert found.largest <= 1


def test_softmax_stays_on_the_host(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (2, 9)), 0.05, 3)
    found = agree(build.build(**{build.node("Softmax", build.node("Relu", x)): "float32"}))
    (port,) = found.graph.output_ports
    assert [step.kind for step in port.tail] == ["dequantize", "softmax"]
    assert (found.operators, found.largest) == (["clip"], 0)


def test_tail_of_several_steps(builder: Any) -> None:
    build = builder()
    x = build.node("Reshape", build.dequantise(build.input("x", (2, 9)), 0.05, 3), np.array([2, 3, 3]))
    x = build.node("Transpose", build.node("LogSoftmax", x, axis=1), perm=[2, 0, 1])
    x = build.node("ArgMax", build.node("Flatten", x), axis=-1, keepdims=0)
    x = build.node("Cast", x, to=6)
    model = build.build(**{x: "int32"})
    graph = import_onnx(model)
    array = RNG.integers(-128, 128, (2, 9)).astype(np.int8)
    (found,) = graph.evaluate(graph.input_ports[0].encode(array)).values()
    decoded = graph.output_ports[0].decode(found)
    expected = run_reference(model, {"x": array})[x]
    np.testing.assert_array_equal(decoded, expected)
    assert decoded.dtype == expected.dtype


def test_sigmoid_at_the_end_stays_on_the_host(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (2, 9)), 0.05, 3)
    found = agree(build.build(**{build.node("Sigmoid", x): "float32"}))
    assert [step.kind for step in found.graph.output_ports[0].tail] == ["dequantize", "sigmoid"]


def test_sigmoid_of_sums_at_the_end_stays_on_the_host(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (2, 9)), 0.05, 3)
    sums = build.node("MatMul", x, build.dequantise(RNG.integers(-127, 128, (9, 1)).astype(np.int8), 0.01, 0))
    found = agree(build.build(**{build.node("Sigmoid", sums): "float32"}))
    assert [step.kind for step in found.graph.output_ports[0].tail] == ["dequantize", "sigmoid"]


def test_real_sums_at_the_end(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.dequantise(build.input("x", (2, 9)), 0.05, 3)
    weights = build.dequantise(RNG.integers(-127, 128, (9, 4)).astype(np.int8), 0.01, 0)
    found = agree(build.build(**{build.node("Gemm", x, weights, np.ones(4, np.float32)): "float32"}))
    assert (found.operators, found.largest) == (["matmul"], 0)


def test_input_scaled_before_it_is_quantised(builder: Any, agree: Callable[..., Any]) -> None:
    """Pixels x become 2 x - 1."""
    build = builder()
    x = build.node("Sub", build.node("Mul", build.input("x", (2, 9), "float32"), np.float32(2)), np.float32(1))
    found = agree(build.build(**{build.quantise(x, 1 / 64, 0): "int8"}))
    assert (found.operators, found.largest) == ([], 0)
    assert found.graph.input_ports[0].zero_point == -64
