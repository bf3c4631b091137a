"""Structure decides what is encoded, what shares an encoding, and what stays on the host."""

from collections.abc import Callable

import numpy as np
import onnx

from gatewright.frontends.onnx import normalise
from gatewright.frontends.reference import run_reference
from gatewright.quantize.hoist import hoist_activations
from gatewright.quantize.network import Network
from gatewright.quantize.plan import make_plan

Samples = Callable[..., np.ndarray]


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_nothing_is_encoded_between_a_product_and_its_activation(builder: type) -> None:
    net = builder(1, 4)
    model = normalise(net.model(net.gemm(net.node("Relu", net.gemm("x", 4, 4)), 4, 3)))
    network = Network(model)
    encoded = make_plan(network).encoded
    assert [network.producer[name].op_type for name in encoded[1:]] == ["Relu", "Gemm"]


def test_an_activation_that_is_not_alone_keeps_its_input_encoded(builder: type) -> None:
    net = builder(1, 4)
    sums = net.gemm("x", 4, 4)
    bounded = net.node("Relu", sums)
    model = normalise(net.model(bounded, net.gemm(sums, 4, 3)))
    assert {"x", sums, bounded} < set(make_plan(Network(model)).encoded)


def test_nothing_is_encoded_within_a_function_of_one_activation(builder: type) -> None:
    net = builder(1, 4)
    sums = net.gemm("x", 4, 4)
    product = net.node("Mul", net.node("Sigmoid", sums), sums)
    model = normalise(net.model(net.gemm(product, 4, 3)))
    assert set(make_plan(Network(model)).encoded) == {"x", sums, product, "gemm_3"}


def test_a_last_sigmoid_stays_with_the_host(builder: type) -> None:
    net = builder(1, 4)
    sums = net.gemm("x", 4, 4)
    plan = make_plan(Network(normalise(net.model(net.node("Sigmoid", sums)))))
    assert plan.encoded == ("x", sums)


def test_carriers_share_the_encoding_of_what_they_carry(builder: type) -> None:
    net = builder(1, 3, 6, 6)
    first, second = net.node("Relu", net.conv("x", 3, 4)), net.conv("x", 3, 2)
    joined = net.node("Concat", first, second, axis=1)
    pooled = net.node("MaxPool", joined, kernel_shape=[2, 2])
    plan = make_plan(Network(normalise(net.model(net.node("Flatten", pooled)))))
    carried = [name for name in plan.encoded if name != "x"]
    assert len({plan.leader[name] for name in carried}) == 1
    assert set(plan.sources[plan.leader[first]]) == {first, second}


def test_what_follows_a_softmax_stays_with_the_host(builder: type) -> None:
    net = builder(1, 4)
    scores = net.gemm("x", 4, 4)
    best = net.node("ArgMax", net.node("Softmax", scores), axis=1)
    plan = make_plan(Network(normalise(net.model(best))))
    assert plan.encoded == ("x", scores)
    assert plan.tail_inputs == {scores}


def test_an_activation_moves_in_front_of_pooling(builder: type, samples: Samples) -> None:
    net = builder(1, 3, 8, 8)
    pooled = net.node("MaxPool", net.conv("x", 3, 4), kernel_shape=[2, 2], pads=[1, 1, 0, 0])
    model = normalise(net.model(net.node("Relu", net.node("Flatten", pooled))))
    moved = hoist_activations(model)
    assert kinds(model) == ["Conv", "MaxPool", "Flatten", "Relu"]
    assert kinds(moved) == ["Conv", "Relu", "MaxPool", "Flatten"]
    onnx.checker.check_model(moved, full_check=True)
    feed = {"x": samples(model, 1)}
    before, after = run_reference(model, feed), run_reference(moved, feed)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_an_activation_stays_behind_pooling_that_others_read(builder: type) -> None:
    net = builder(1, 3, 8, 8)
    pooled = net.node("MaxPool", net.conv("x", 3, 4), kernel_shape=[2, 2])
    model = normalise(net.model(net.node("Relu", pooled), pooled))
    assert kinds(hoist_activations(model)) == ["Conv", "MaxPool", "Relu"]
