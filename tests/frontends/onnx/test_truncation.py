"""QONNX's Trunc: exactly the integers of the specification, in both versions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qonnx_network import QONNX, Network, expect_exact

from gatewright import ir
from gatewright.errors import ModelError
from gatewright.frontends import run_reference
from gatewright.frontends.onnx import import_onnx, standard_form

Networks = Callable[[int], Network]


@pytest.fixture
def network(builder: Any) -> Networks:
    return lambda seed: Network(builder(), seed)


def trunc(net: Network, x: Any, scale: float, widths: tuple[int, int], zero: float = 0, **rest: Any) -> str:
    """Version 2 where `out_scale` is among the rest."""
    numbers = [scale, zero, widths[0], *([rest.pop("out_scale")] if "out_scale" in rest else []), widths[1]]
    return net.build.node("Trunc", x, *(np.float32(number) for number in numbers), **QONNX, **rest)


@pytest.mark.parametrize("mode", ["FLOOR", "ROUND", "CEIL"])
@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize(("signed", "zero"), [(0, 0), (1, 0), (0, 64)])
def test_activations_lose_their_lowest_bits(network: Networks, mode: str, second: bool, signed: int, zero: int) -> None:
    net, scale = network(7), 0.037
    x = net.quant(net.build.input("x", [1, 3, 8, 8], "float32"), scale, 8, zero, signed=signed)
    given = {"out_scale": scale * 16, "signed": signed} if second else {}
    y = trunc(net, x, scale, (8, 4), zero, rounding_mode=mode, **given)
    step, point = (scale * 16, zero / 16) if second else (scale, zero)
    y = net.quant(y, np.float32(step), 8, point, signed=1)
    model = net.build.build(**{y: "float32"})
    graph = expect_exact(model, spread=3.0)
    x = np.random.default_rng(1).normal(0, 3, (1, 3, 8, 8)).astype(np.float32)
    expected = run_reference(standard_form(model), {"x": x})
    (value,), (port,) = graph.outputs, graph.output_ports
    found = port.decode(graph.evaluate(graph.input_ports[0].encode(x))[value])
    np.testing.assert_allclose(found, next(iter(expected.values())), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["FLOOR", "ROUND"])
def test_sums_and_means(network: Networks, mode: str) -> None:
    """After a product, whose sums are whole steps, and after the sum of a pool, as Brevitas writes average pools."""
    net = network(3)
    x = net.quant(net.build.input("x", [1, 4, 8, 8], "float32"), 0.25, 4, signed=0)
    y = net.build.node("Conv", x, net.weights((6, 4, 3, 3), 3, 0.5), kernel_shape=[3, 3])
    y = trunc(net, y, 0.125, (11, 4), rounding_mode=mode, out_scale=16.0)
    y = net.build.node("Relu", y)
    y = net.quant(y, 16.0, 3, signed=0)
    y = net.build.node("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = net.build.node("Mul", y, np.float32(4))
    y = trunc(net, y, 16.0, (5, 3), rounding_mode=mode, out_scale=64.0, signed=0)
    y = net.build.node("Flatten", y)
    y = net.build.node("MatMul", y, net.weights((54, 5), 4, 0.05))
    graph = expect_exact(net.build.build(**{y: "float32"}), spread=4.0)
    kinds = [node.op.name for node in graph.nodes]
    assert kinds.count("conv2d") == kinds.count("average_pool") == kinds.count("matmul") == 1
    last = next(node for node in graph.nodes if isinstance(node.op, ir.MatMul))
    assert graph.type_of(last.inputs[0]).dtype == ir.IntType(3, signed=False)


@pytest.mark.parametrize(
    ("widths", "rest", "message"),
    [
        ((4, 8), {}, "it must leave 1 to 16 bits of at least as many, not 8, less -4"),
        ((8, 4), {"zero": 3}, "zeropt must be a multiple of 16, so that it stays whole, not 3"),
        ((8, 4), {"rounding_mode": "UP"}, "rounding_mode must be one of ROUND, CEIL, FLOOR, not UP"),
        ((8, 4), {"out_scale": -1.0}, "scales must be positive and finite"),
    ],
)
def test_what_is_refused(network: Networks, widths: tuple[int, int], rest: dict[str, Any], message: str) -> None:
    net = network(0)
    x = net.quant(net.build.input("x", [1, 8], "float32"), 0.1, 8)
    model = net.build.build(**{trunc(net, x, 0.1, widths, **rest): "float32"})
    with pytest.raises(ModelError, match=f"Trunc .*{message}"):
        import_onnx(model)


def test_an_input_that_is_not_quantised(network: Networks) -> None:
    net = network(0)
    y = trunc(net, net.build.input("x", [1, 8], "float32"), 0.1, (8, 4))
    with pytest.raises(ModelError, match="input x must be quantised before it is truncated"):
        import_onnx(net.build.build(**{net.quant(y, 0.1, 8): "float32"}))
