"""What NNgen 1.3.4 itself evaluates: results recorded from the networks below, compared number for number.

Left out is where NNgen's evaluation and hardware disagree (see docs/ng.md). `python test_nngen.py`, where NNgen is
installed, records anew.
"""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from gatewright import passes

RECORDED = Path(__file__).with_name("nngen_1_3_4.npz")


class Numbers(np.random.RandomState):
    """Random numbers that are the same in every version of NumPy."""

    def pick(self, *options):
        return options[self.randint(len(options))]

    def variable(self, ng, dtype, shape, low, high, name):
        made = ng.variable(dtype, shape, name=name)
        made.set_value(self.randint(low, high, shape).astype(np.int64))
        return made

    def image(self, tensor):
        edge = 1 << (tensor.dtype.width - 1)
        return self.randint(-edge, edge, tensor.shape).astype(np.int64)


def layer_arguments(ng, random, filters):
    """Bias, scale and shifts of every kind."""
    arguments = {}
    if random.randint(2):
        arguments["bias"] = random.variable(ng, ng.int32, (random.pick(1, filters),), -5000, 5000, "bias")
    if random.randint(2):
        arguments["scale"] = random.variable(ng, ng.int16, (random.pick(1, filters),), -40, 40, "scale")
    elif random.randint(2):
        arguments["rshift_mul"] = int(random.randint(1, 6))
    for name, most in (("rshift_sum", 5), ("rshift_out", 12)):
        kind = random.randint(3)
        if kind == 1:
            arguments[name] = int(random.randint(most))
        elif kind == 2:
            arguments[name] = random.variable(ng, ng.int8, (filters,), 0, most, name)
    return arguments


def convolution(ng, seed):
    random = Numbers(seed)
    size, channels, filters = random.randint(3, 7, 2).tolist(), int(random.randint(1, 5)), int(random.randint(1, 5))
    x = ng.placeholder(random.pick(ng.int8, ng.int16, ng.int4), (1, *size, channels), name="x")
    w = random.variable(ng, ng.int8, (filters, *random.randint(1, 4, 2).tolist(), channels), -127, 128, "w")
    acts = (None, ng.relu, ng.relu6, ng.sigmoid, ng.get_leaky_relu_op(10, 7), ng.get_leaky_relu_op(1, 3))
    y = ng.conv2d(
        x,
        w,
        (1, int(random.randint(1, 4)), int(random.randint(1, 4)), 1),
        padding=random.pick("SAME", "VALID", 1, (0, 1, 2, 1)),
        act_func=random.pick(*acts),
        dtype=random.pick(ng.int8, ng.int16),
        asymmetric_clip=bool(random.randint(2)),
        **layer_arguments(ng, random, filters),
    )
    y.scale_factor = float(random.uniform(0.1, 50))
    return [y], {"x": random.image(x)}


def product(ng, seed):
    random = Numbers(seed)
    rows, terms, outputs = random.randint(1, 12, 3).tolist()
    turned = bool(random.randint(2))
    a = ng.placeholder(ng.int8, (terms, rows) if turned else (rows, terms), name="a")
    right = bool(random.randint(2))
    b = random.variable(ng, ng.int8, (outputs, terms) if right else (terms, outputs), -127, 128, "b")
    arguments = layer_arguments(ng, random, outputs)
    y = ng.matmul(a, b, transposed_a=turned, transposed_b=right, dtype=ng.int8, act_func=ng.relu, **arguments)
    return [y], {"a": random.image(a)}


def pools(ng, seed):
    random = Numbers(seed)
    kernel, stride = int(random.randint(1, 4)), int(random.randint(1, 4))
    x = ng.placeholder(random.pick(ng.int8, ng.int16), (1, *random.randint(4, 9, 3).tolist()), name="x")
    shape = (1, kernel, kernel, 1), (1, stride, stride, 1)
    padding = random.pick("SAME", "VALID", 1 if kernel > 1 else 0)
    outputs = [ng.max_pool(x, *shape, padding), ng.avg_pool(x, *shape, padding)]
    if kernel <= stride:
        outputs += [ng.max_pool_serial(x, *shape, padding), ng.avg_pool_serial(x, *shape, padding)]
    return outputs, {"x": random.image(x)}


def pairs(ng, seed):
    random = Numbers(seed)
    shapes = random.pick(((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((2, 3, 4), (1,)), ((2, 1, 4), (2, 3, 1)))
    a, b = (ng.placeholder(ng.int16, shape, name=name) for shape, name in zip(shapes, "ab", strict=True))
    scales = random.randint(1, 50, 2).tolist()
    outputs = [
        ng.add(a, b),
        ng.sub(a, b),
        ng.multiply(a, b),
        ng.rshift(a, ng.full_imm_like(a, 3, ng.int8)),
        ng.scaled_add(a, b, *scales, int(random.randint(8)), asymmetric_clip=bool(random.randint(2)), dtype=ng.int8),
        ng.scaled_multiply(a, b, int(random.randint(8)), dtype=random.pick(ng.int8, ng.uint8)),
    ]
    return outputs, {"a": random.randint(-100, 100, a.shape), "b": random.randint(-100, 100, b.shape)}


def functions(ng, seed):
    random = Numbers(seed)
    x = ng.placeholder(random.pick(ng.int8, ng.int16, ng.int4), (3, 4, 5), name="x")
    x.scale_factor = float(random.uniform(0.5, 100))
    dtype = random.pick(ng.int8, ng.int16, ng.uint8)
    outputs = [
        ng.relu(x),
        ng.relu6(x),
        ng.leaky_relu(x, 7, 5),
        ng.leaky_relu(x, 4, 5),
        ng.sigmoid(x, dtype=dtype),
        ng.sigmoid(x, 6, 4.0, 0.8, dtype=dtype),
        ng.clip(x, dtype=dtype),
        ng.clip(x, asymmetric_clip=True, dtype=dtype),
    ]
    return outputs, {"x": random.image(x)}


def moves(ng, seed):
    random = Numbers(seed)
    shape = tuple(random.randint(2, 6, 4).tolist())
    x, z = (ng.placeholder(ng.int8, shape, name=name) for name in "xz")
    outputs = [
        ng.transpose(x, random.permutation(4).tolist()),
        ng.reshape(x, (-1, shape[3])),
        ng.concat([x, z], int(random.randint(-4, 4))),
        ng.slice_(x, (0, 0, 0, 1), (shape[0], -1, shape[2], shape[3]), (1, 1, 2, 1)),
        ng.pad(x, (0, 1, 2, 3)),
        ng.upsampling2d(x, (1, 2, 3, 1)),
        ng.cast(x, ng.int16),
        ng.reduce_sum(x, axis=(2, 3), keep_dims=True, dtype=ng.int32),
        ng.reduce_max(x, axis=(1, 2, 3)),
        ng.argmax(x, axis=3),
        ng.argmax(x),
    ]
    return outputs, {"x": random.image(x), "z": random.image(z)}


NETWORKS = {convolution: 60, product: 20, pools: 12, pairs: 12, functions: 12, moves: 8}
CASES = [(make, seed) for make, count in NETWORKS.items() for seed in range(count)]


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as arrays:
        return dict(arrays)


@pytest.mark.parametrize(("make", "seed"), CASES, ids=lambda part: getattr(part, "__name__", part))
def test_the_same_numbers(make, seed, recorded):
    ng = import_module("gatewright.ng")
    outputs, inputs = make(ng, seed)
    for index, found in enumerate(ng.eval(outputs, **inputs)):
        expected = recorded[f"{make.__name__}.{seed}.{index}"]
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, expected, str(outputs[index]))


@pytest.mark.parametrize(("make", "seed"), CASES[::3], ids=lambda part: getattr(part, "__name__", part))
@pytest.mark.parametrize("steps", [passes.PASSES, (*passes.PASSES, passes.to_signed)], ids=["all", "signed"])
def test_no_pass_changes_them(make, seed, steps, recorded):
    ng = import_module("gatewright.ng")
    outputs, inputs = make(ng, seed)
    graph = passes.run_passes(ng.design(outputs, "network").network.graph, steps)
    given = [
        port.encode(inputs[port.name].astype(value.type.dtype.storage))
        for value, port in zip(graph.inputs, graph.input_ports, strict=True)
    ]
    results = graph.evaluate(*given)
    for index, (name, port) in enumerate(zip(graph.outputs, graph.output_ports, strict=True)):
        np.testing.assert_array_equal(port.decode(results[name]), recorded[f"{make.__name__}.{seed}.{index}"])


def record():
    """Write what NNgen evaluates."""
    nngen = import_module("nngen")
    found = {}
    for make, seed in CASES:
        outputs, inputs = make(nngen, seed)
        for index, array in enumerate(nngen.eval(outputs, **inputs)):
            found[f"{make.__name__}.{seed}.{index}"] = np.asarray(array).astype(np.int32)
    np.savez_compressed(RECORDED, **found)


if __name__ == "__main__":
    record()
