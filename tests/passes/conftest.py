"""What every pass is held to: the text after it, and the same results in the model's own world."""

from collections.abc import Callable

import numpy as np
import pytest

from gatewright import ir

Pass = Callable[[ir.Graph], ir.Graph]


def same_results(before: ir.Graph, after: ir.Graph, seed: int = 0) -> None:
    """Assert that random arrays of the model's input types give equal arrays of its output types."""
    random = np.random.default_rng(seed)
    outputs = []
    arrays = []
    for port in before.input_ports:
        dtype = port.graph_type.dtype
        levels = random.integers(dtype.min, dtype.max + 1, port.graph_type.shape)
        arrays.append(port.decode(levels.astype(dtype.storage)))
    for graph in (before, after):
        encoded = [port.encode(array) for port, array in zip(graph.input_ports, arrays, strict=True)]
        results = graph.evaluate(*encoded)
        outputs.append([port.decode(results[n]) for n, port in zip(graph.outputs, graph.output_ports, strict=True)])
    for expected, result in zip(*outputs, strict=True):
        np.testing.assert_array_equal(result, expected)


def _check_pass(step: Pass, before: str, after: str) -> None:
    graph = ir.parse(before)
    result = ir.verify(step(graph))
    assert str(result) == after
    assert str(step(result)) == after, "a pass must have nothing left to do"
    for seed in range(5):
        same_results(graph, result, seed)


@pytest.fixture
def check_pass() -> Callable[[Pass, str, str], None]:
    """Assert text after, idempotence, and equal results."""
    return _check_pass


@pytest.fixture
def expect_same_results() -> Callable[[ir.Graph, ir.Graph], None]:
    return same_results


@pytest.fixture
def random_graph() -> Callable[[int], ir.Graph]:
    """A verified graph of some twenty nodes with every operator, for a seed."""
    return lambda seed: RandomGraph(seed).build()


class RandomGraph:
    """Grows a graph value by value; every step keeps types legal."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.b = ir.Builder(f"random{seed}")
        self.values: list[str] = []

    def build(self) -> ir.Graph:
        for name in ("x", "y")[: self.number(1, 2)]:
            shape = (self.number(1, 2), self.number(3, 8), self.number(3, 8), self.number(1, 4))
            dtype = self.pick(ir.I8, ir.U8)
            port = ir.Port(name, self.pick("float32", str(np.dtype(dtype.storage))), (None, *shape[1:]), scale=0.5)
            self.values.append(self.b.input(name, ir.TensorType(shape, dtype), port))
        image = self.b.type_of(self.values[-1])
        self.values.insert(0, self.b.constant(self.random.integers(0, 128, image.shape), image.dtype, "data"))
        steps = (self.convolve, self.pool, self.average, self.clip, self.table, self.add, self.pad, self.transpose)
        steps += (self.rescale, self.concat, self.slice, self.upsample, self.reshape, self.product, self.transpose)
        steps += (self.round_products, self.multiply, self.shift, self.leak, self.reduce, self.locate, self.broadcast)
        for _ in range(40):
            result = self.pick(*steps)(self.pick(self.values[-1], self.values[-1], *self.values))
            if result is not None and self.b.type_of(result).size < 5000:
                self.values.append(result)
        for value in dict.fromkeys([self.values[-1], *(self.pick(*self.values) for _ in range(3))]):
            self.b.output(value)
        return self.b.build()

    def number(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def pick(self, *options):
        return options[self.number(0, len(options) - 1)]

    def shape(self, x: str) -> tuple[int, ...]:
        return self.b.type_of(x).shape

    def level(self, dtype: ir.IntType) -> int:
        return self.pick(0, dtype.min, self.number(dtype.min, dtype.max))

    def bounds(self, dtype: ir.IntType) -> dict[str, object]:
        """Zero point, clip, type and rounding of a result."""
        low, high = sorted((self.level(dtype), self.level(dtype)))
        low, high = self.pick((low, high), (dtype.min, dtype.max))
        rounding = self.pick(*ir.Rounding)
        return {"zero": self.level(dtype), "low": low, "high": high, "dtype": dtype, "rounding": rounding}

    def image(self, x: str) -> bool:
        return len(self.shape(x)) == 4

    def requantised(self, acc: str, bits: int) -> str:
        channels = self.pick(1, self.shape(acc)[-1])
        mul = self.b.constant(self.random.integers(1, 1 << 16, channels), ir.U32, f"{acc}.mul")
        shift = self.b.constant(self.random.integers(bits, bits + 4, channels), ir.U8, f"{acc}.shift")
        slope = self.pick(None, None, 2)
        return self.b.add(ir.Requantise(**self.bounds(self.pick(ir.I8, ir.U8)), negative_shift=slope), acc, mul, shift)

    def pads(self, kernel: tuple[int, int]) -> tuple[int, int, int, int]:
        return tuple(self.number(0, kernel[i % 2] - 1) for i in range(4))

    def kernel(self, x: str) -> tuple[int, int]:
        return tuple(min(self.number(1, 3), size) for size in self.shape(x)[1:3])

    def convolve(self, x: str) -> str | None:
        if not self.image(x):
            return None
        channels, kernel = self.shape(x)[3], self.kernel(x)
        groups = self.pick(1, channels)
        filters = groups * self.number(1, 3)
        w = self.b.constant(self.random.integers(-127, 128, (filters, *kernel, channels // groups)), ir.I8, "w")
        bias = self.b.constant(self.random.integers(-5000, 5000, filters), ir.I32, "bias")
        strides = (self.number(1, 2), self.number(1, 2))
        zero = self.level(self.b.type_of(x).dtype)
        acc = self.b.add(ir.Conv2d(strides, self.pads(kernel), groups=groups, x_zero=zero), x, w, bias)
        return self.requantised(acc, 21)

    def product(self, x: str) -> str:
        w = self.b.constant(self.random.integers(0, 128, (self.number(1, 4), self.shape(x)[-1])), ir.U8, "w")
        return self.requantised(self.b.add(ir.MatMul(self.level(self.b.type_of(x).dtype)), x, w), 21)

    def round_products(self, x: str) -> str | None:
        if not self.image(x):
            return None
        w = self.b.constant(self.random.integers(0, 128, (3, *self.kernel(x), self.shape(x)[3])), ir.U8, "w")
        shift = self.b.constant(self.random.integers(0, 9, 3), ir.U8, "shift")
        op = ir.RoundedConv2d(pads=self.pads(self.kernel(x)), x_zero=self.level(self.b.type_of(x).dtype))
        return self.requantised(self.b.add(op, x, w, shift), 18)

    def pool(self, x: str) -> str | None:
        if not self.image(x):
            return None
        kernel = self.kernel(x)
        return self.b.add(ir.MaxPool(kernel, self.pick(kernel, (1, 1)), self.pick((0,) * 4, self.pads(kernel))), x)

    def average(self, x: str) -> str | None:
        if not self.image(x):
            return None
        kernel, dtype = self.kernel(x), self.b.type_of(x).dtype
        multipliers = tuple((n, round(2**16 / n)) for n in range(1, kernel[0] * kernel[1] + 1))
        pads = self.pick((0,) * 4, self.pads(kernel))
        counted = self.pick(True, False)
        rest = {"multipliers": multipliers, "shift": 16, "count_include_pad": counted, "x_zero": self.level(dtype)}
        return self.b.add(ir.AveragePool(kernel, (1, 1), pads, **rest, **self.bounds(self.pick(ir.I8, ir.U8))), x)

    def clip(self, x: str) -> str:
        dtype = self.b.type_of(x).dtype
        return self.b.add(ir.Clip(*sorted((self.level(dtype), self.level(dtype)))), x)

    def table(self, x: str) -> str:
        dtype = self.pick(ir.I8, ir.U8)
        table = self.b.constant(self.random.integers(dtype.min, dtype.max + 1, 256), dtype, "table")
        return self.b.add(ir.Lut(dtype), x, table)

    def add(self, x: str) -> str:
        other = self.pick(*(value for value in self.values if self.shape(value) == self.shape(x)))
        zeros = {"a_zero": self.level(self.b.type_of(x).dtype), "b_zero": self.level(self.b.type_of(other).dtype)}
        muls = {"mul_a": self.number(1, 99), "mul_b": self.number(-99, 99)}
        return self.b.add(ir.Add(**muls, shift=self.number(0, 7), **zeros, **self.bounds(ir.U8)), x, other)

    def multiply(self, x: str) -> str:
        dtype, shape = self.b.type_of(x).dtype, self.shape(x)
        sizes = self.pick((1,), shape[-1:], shape)
        factors = self.b.constant(self.random.integers(dtype.min, dtype.max + 1, sizes), dtype, "factors")
        other = self.pick(factors, *(value for value in self.values if self.shape(value) == shape))
        zeros = {"a_zero": self.level(dtype), "b_zero": self.level(self.b.type_of(other).dtype)}
        op = ir.Multiply(self.number(1, 3), self.number(5, 9), **zeros, **self.bounds(self.pick(ir.I8, ir.U8)))
        return self.b.add(op, x, other)

    def shift(self, x: str) -> str:
        other = self.pick(*(value for value in self.values if self.shape(value) == self.shape(x)))
        zeros = {"a_zero": self.level(self.b.type_of(x).dtype), "b_zero": self.level(self.b.type_of(other).dtype)}
        return self.b.add(ir.Shift(**zeros, **self.bounds(self.pick(ir.I8, ir.U8))), x, other)

    def leak(self, x: str) -> str:
        zero = self.level(self.b.type_of(x).dtype)
        op = ir.LeakyRelu(self.number(-5, 40), self.number(3, 6), zero, **self.bounds(self.pick(ir.I8, ir.U8)))
        return self.b.add(op, x)

    def reduce(self, x: str) -> str:
        return self.b.add(ir.ReduceMax(), x)

    def locate(self, x: str) -> str | None:
        return None if self.shape(x)[-1] > 128 else self.b.add(ir.ArgMax(self.pick(ir.I8, ir.U8)), x)

    def broadcast(self, x: str) -> str:
        repeats = [self.number(1, 2) if size == 1 else size for size in self.shape(x)]
        return self.b.add(ir.Broadcast(repeats), x)

    def rescale(self, x: str) -> str:
        """Often by exactly 1."""
        shift = self.number(0, 8)
        mul = self.b.constant([self.pick(1 << shift, 77)], ir.U32, "unit")
        dtype = self.b.type_of(x).dtype
        op = ir.Requantise(**self.bounds(self.pick(ir.I8, ir.U8)), x_zero=self.level(dtype))
        return self.b.add(op, x, mul, self.b.constant([shift], ir.U8, "unit.shift"))

    def pad(self, x: str) -> str:
        dtype, rank = self.b.type_of(x).dtype, len(self.shape(x))
        pads = [self.pick((0, 0), (self.number(0, 2), self.number(0, 2))) for _ in range(rank)]
        return self.b.add(ir.Pad(pads, self.pick(dtype.min, self.level(dtype))), x)

    def transpose(self, x: str) -> str:
        return self.b.add(ir.Transpose(self.random.permutation(len(self.shape(x))).tolist()), x)

    def reshape(self, x: str) -> str:
        shape = self.shape(x)
        return self.b.add(ir.Reshape(self.pick((shape[0], int(np.prod(shape[1:]))), shape[::-1])), x)

    def concat(self, x: str) -> str:
        same = [value for value in self.values if self.b.type_of(value) == self.b.type_of(x)]
        more = [self.pick(*same)] * self.number(0, 1)
        return self.b.add(ir.Concat(self.number(0, len(self.shape(x)) - 1)), x, *more)

    def slice(self, x: str) -> str:
        starts = [self.number(0, size - 1) for size in self.shape(x)]
        stops = [self.number(start + 1, size) for start, size in zip(starts, self.shape(x), strict=True)]
        return self.b.add(ir.Slice(starts, stops, [self.number(1, 2) for _ in starts]), x)

    def upsample(self, x: str) -> str | None:
        return self.b.add(ir.Upsample((self.number(1, 2), self.number(1, 2))), x) if self.image(x) else None
