"""Layouts: views against NumPy, and models that are transposed around their convolutions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.frontends.onnx.context import Context
from gatewright.frontends.onnx.layout import View
from gatewright.frontends.onnx.options import ImportOptions
from gatewright.ir import I16, Port, TensorType

RNG = np.random.default_rng(0)


def _shapes(size: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of up to five dimensions with this many elements."""
    divisors = [factor for factor in range(1, size + 1) if size % factor == 0]
    return (
        st.lists(st.sampled_from(divisors), min_size=1, max_size=4)
        .map(lambda sizes: tuple(sizes) if size % np.prod(sizes) == 0 else (size,))
        .map(lambda sizes: (*sizes, size // int(np.prod(sizes))))
    )


@st.composite
def _chains(draw: st.DrawFn) -> tuple[tuple[int, ...], list[tuple[str, tuple[int, ...]]]]:
    """A shape, and transpositions and reshapes that may follow each other from it."""
    size = draw(st.sampled_from([24, 36, 60]))
    first = shape = draw(_shapes(size))
    steps: list[tuple[str, tuple[int, ...]]] = []
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.booleans()):
            axes = tuple(draw(st.permutations(range(len(shape)))))
            steps.append(("transpose", axes))
            shape = tuple(shape[axis] for axis in axes)
        else:
            shape = draw(_shapes(size))
            steps.append(("reshape", shape))
    return first, steps


@given(_chains())
def test_views_are_what_numpy_computes(chain: Any) -> None:
    shape, steps = chain
    context = Context("test", ImportOptions())
    x = context.input("x", TensorType(shape, I16), Port("x", "int16", shape))
    view, array = View.of(x, shape), np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    expected = array
    for kind, argument in steps:
        view = view.transpose(argument) if kind == "transpose" else context.reshape(view, argument)
        expected = expected.transpose(argument) if kind == "transpose" else expected.reshape(argument)
    context.builder.output(context.materialise(view))
    (found,) = context.builder.build().evaluate(array).values()
    np.testing.assert_array_equal(found, expected)


@given(st.permutations(range(4)))
def test_permutation_is_the_order_in_memory(axes: list[int]) -> None:
    view = View.of("x", (2, 3, 5, 7), axes)
    assert view.permutation() == tuple(axes)
    assert view.transpose(axes).dense


def test_last_axis_in_the_order_of_memory() -> None:
    view = View.of("x", (2, 3, 4, 5), (0, 2, 3, 1)).reshape((2, 60))
    assert view is not None
    stored, order = view.sorted_last()
    assert stored.dense
    image = np.arange(120).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(image.reshape(2, 60)[:, order], image.transpose(0, 2, 3, 1).reshape(2, 60))


def _weights(build: Any, *shape: int) -> str:
    return build.dequantise(RNG.integers(-127, 128, shape).astype(np.int8), 0.004, 0)


def test_images_with_channels_last_need_no_transposition(builder: Any, agree: Callable[..., Any]) -> None:
    """As tf2onnx writes them."""
    build = builder()
    x = build.node("Transpose", build.input("x", (1, 7, 6, 3)), perm=[0, 3, 1, 2])
    y = build.node("Conv", build.dequantise(x, 0.05, 3), _weights(build, 4, 3, 3, 3))
    y = build.node("Transpose", build.quantise(y, 0.1, -2), perm=[0, 2, 3, 1])
    found = agree(build.build(**{y: "int8"}))
    assert found.operators == ["conv2d", "requantise"]
    assert (found.largest <= 1, found.graph.output_ports[0].permutation) == (True, None)


def test_transposition_of_reals(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.node("Transpose", build.dequantise(build.input("x", (1, 7, 6, 3)), 0.05, 3), perm=[0, 3, 1, 2])
    y = build.node("Relu", build.node("Conv", x, _weights(build, 4, 3, 3, 3)))
    y = build.quantise(build.node("Transpose", y, perm=[0, 2, 3, 1]), 0.1, -2)
    found = agree(build.build(**{y: "int8"}))
    assert found.operators == ["conv2d", "requantise"]
    assert found.largest <= 1


@pytest.mark.parametrize("kind", ["Flatten", "Reshape"])
def test_flattened_image_moves_into_the_weights(kind: str, builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.node("Conv", build.dequantise(build.input("x", (2, 3, 7, 6)), 0.05, 3), _weights(build, 4, 3, 3, 3))
    x = build.quantise(x, 0.1, -2)
    flat = build.node("Flatten", x) if kind == "Flatten" else build.node("Reshape", x, np.array([0, -1]))
    y = build.node("MatMul", build.dequantise(flat, 0.1, -2), _weights(build, 80, 5))
    found = agree(build.build(**{build.quantise(y, 0.4, 0): "int8"}))
    assert found.operators == ["conv2d", "requantise", "reshape", "matmul", "requantise"]
    assert (found.largest <= 1, found.rate < 0.05) == (True, True)


def test_shape_arithmetic_is_folded(builder: Any, agree: Callable[..., Any]) -> None:
    """As PyTorch writes x.view(x.size(0), -1)."""
    build = builder()
    x = build.input("x", ("N", 3, 4, 5))
    size = build.node("Gather", build.node("Shape", x), np.array(0), axis=0)
    rows = build.node("Unsqueeze", size, np.array([0]))
    shape = build.node("Concat", rows, np.array([-1]), axis=0)
    flat = build.dequantise(build.node("Reshape", x, shape), 0.05, 3)
    found = agree(build.build(**{build.quantise(build.node("MatMul", flat, _weights(build, 60, 5)), 0.3, 0): "int8"}))
    assert found.operators == ["reshape", "matmul", "requantise"]


def test_channel_shuffle(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    x = build.node("Reshape", build.input("x", (1, 6, 4, 5)), np.array([1, 2, 3, 4, 5]))
    x = build.node("Reshape", build.node("Transpose", x, perm=[0, 2, 1, 3, 4]), np.array([1, 6, 4, 5]))
    y = build.node("Conv", build.dequantise(x, 0.05, 3), _weights(build, 4, 6, 1, 1))
    found = agree(build.build(**{build.quantise(y, 0.3, 0): "int8"}))
    assert found.operators.count("transpose") == 1
    assert found.largest <= 1


def test_sum_of_two_layouts(builder: Any, agree: Callable[..., Any]) -> None:
    build = builder()
    image = build.node("MaxPool", build.input("x", (1, 3, 5, 5)), kernel_shape=[2, 2])
    other = build.node("Transpose", build.input("y", (1, 4, 4, 3)), perm=[0, 3, 1, 2])
    y = build.node("Add", build.dequantise(image, 0.0513, 3), build.dequantise(other, 0.0307, 1))
    found = agree(build.build(**{build.quantise(y, 0.0611, 0): "int8"}))
    assert sorted(found.operators) == ["add", "max_pool"]
    assert found.largest <= 1
