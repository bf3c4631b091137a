"""The whole machine in RTL: a program written by hand, and what the figures say of the hardware."""

import re
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pytest
from amaranth.back import rtlil

from gatewright.hdl.csr_map import REGISTER_MAP
from gatewright.hdl.instruction import INSTRUCTION_BYTES, Memory, Opcode, QueueMask, pack
from gatewright.host import Driver
from gatewright.host.export import registers_of
from gatewright.ir import I8, I32, Rounding, TensorType
from gatewright.ir.ops import Conv2d, Requantise
from gatewright.program import Binding, LayerInfo, Program, Region
from gatewright.sim import MEMORIES, SimulatedBus
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.cycles import count_cycles
from gatewright.targets.array.hdl.machine import Machine, emit_machine, memory_bytes, multipliers_outside_array
from gatewright.targets.array.isa import LAYOUTS, PARAMETER, ROUNDING_CODES, Operation
from gatewright.targets.array.isa_vector import VECTOR_LAYOUTS, VECTOR_UNIT, LaneOperation, VectorOperation

TOP = "gatewright_systolic"
SIZE, CHANNELS, FILTERS, ZERO = 6, 8, 12, -5
SHIFT = 27
CONSTANTS, INPUT, OUTPUT = 1, 2, 3
WEIGHT_BYTES = 9 * CHANNELS * 16  # two tiles of eight filters

PARTS = ("operand", "product_shift", "affine", "shift", "maximum", "table")
SUMS = {"rows": 2, "columns": 2, "post_lanes": 2, "vector_lanes": 2} | {f"vector_{part}": False for part in PARTS}


@cache
def verilog(vector_lanes: int = 0) -> str:
    return emit_machine(ArrayConfig(vector_lanes=vector_lanes))


def assemble(instructions: Sequence[tuple[int, Mapping[str, int]]]) -> bytes:
    words = [
        pack((VECTOR_LAYOUTS if fields.get("unit") else LAYOUTS)[opcode], {"opcode": int(opcode), **fields})
        for opcode, fields in instructions
    ]
    return b"".join(word.to_bytes(INSTRUCTION_BYTES, "little") for word in words)


def convolution() -> list[tuple[int, Mapping[str, int]]]:
    """A 3 x 3 convolution with padding, all of it resident."""
    image = SIZE * SIZE * CHANNELS
    transfer = {"count0": 1, "count1": 1}
    signal = {"signal": QueueMask.COMPUTE}
    return [
        (Opcode.LOAD, transfer | {"memory": Memory.ACTIVATION, "region": INPUT, "scratch": 101, "length": image}),
        (Opcode.LOAD, transfer | {"memory": Memory.WEIGHT, "region": CONSTANTS, "length": WEIGHT_BYTES}),
        (
            Opcode.LOAD,
            transfer
            | signal
            | {"memory": Memory.PARAMETER, "region": CONSTANTS, "offset": WEIGHT_BYTES, "length": 16 * 8},
        ),
        (
            Operation.CONFIG_PIXELS,
            {"count0": SIZE, "dx0": CHANNELS, "count1": 1, "count2": 1, "dy3": 1, "dx3": -(SIZE - 1) * CHANNELS},
        ),
        (
            Operation.CONFIG_TAPS,
            {"words": 1, "count_s": 3, "dx_s": CHANNELS, "count_r": 3, "dy_r": 1, "dx_r": -2 * CHANNELS}
            | {"row_bytes": SIZE * CHANNELS, "pitch": SIZE * CHANNELS, "pad": ZERO},
        ),
        (
            Operation.CONFIG_POST,
            {"rounding": ROUNDING_CODES[Rounding.HALF_EVEN], "zero": 3, "low": -100, "high": 120, "pool_count": 1}
            | {"to_output": 1, "out_count": SIZE * SIZE, "out_step": FILTERS, "filter_step": 8},
        ),
        (
            Operation.COMPUTE,
            {"wait": QueueMask.LOAD, "signal": QueueMask.STORE, "base": 101, "y0": -1, "x0": -CHANNELS}
            | {"outer_count": SIZE, "height": SIZE, "filter_tiles": 2, "last_columns": FILTERS - 8, "output_base": 77}
            | {"first": 1, "last": 1, "stamp": 1, "stamp_index": 0},
        ),
        (
            Opcode.STORE,
            transfer
            | {"wait": QueueMask.COMPUTE, "memory": Memory.OUTPUT, "region": OUTPUT, "scratch": 77}
            | {"length": SIZE * SIZE * FILTERS, "stamp": 1, "stamp_index": 1},
        ),
        (Opcode.END, {}),
    ]


def pooling() -> list[tuple[int, Mapping[str, int]]]:
    """The largest of 2 x 2 pixels, by the vector unit: four channels at once."""
    unit = {"unit": VECTOR_UNIT}
    transfer = {"count0": 1, "count1": 1}
    row = SIZE * CHANNELS
    return [
        (
            Opcode.LOAD,
            {**transfer, "memory": Memory.ACTIVATION, "region": INPUT, "scratch": 101, "length": SIZE * row}
            | {"signal": QueueMask.COMPUTE},
        ),
        (
            VectorOperation.CONFIG_PIXELS,
            {**unit, "count0": SIZE // 2, "dx0": 2 * CHANNELS, "count1": 1, "count2": 1}
            | {"dy3": 2, "dx3": -(SIZE - 2) * CHANNELS},
        ),
        (
            VectorOperation.CONFIG_TAPS,
            {**unit, "count0": 2, "dx0": CHANNELS, "count1": 2, "dy1": 1, "dx1": -CHANNELS, "count2": 1}
            | {"row_bytes": row, "pitch": row},
        ),
        (VectorOperation.CONFIG_LANES, {**unit, "operation": LaneOperation.MAX}),
        (VectorOperation.CONFIG_POST, {**unit, "mul": 1, "low": -128, "high": 127}),
        (
            VectorOperation.CONFIG_WALK,
            {**unit, "to_output": 1, "out_count": SIZE, "out_step": CHANNELS, "out_delta": CHANNELS}
            | {"a_group_step": 4, "group_step": 4},
        ),
        (
            VectorOperation.COMPUTE,
            {**unit, "wait": QueueMask.LOAD, "signal": QueueMask.STORE, "base": 101, "outer_count": SIZE // 2}
            | {"height": SIZE, "groups": CHANNELS // 4, "last_lanes": 4, "output_base": 77},
        ),
        (
            Opcode.STORE,
            {**transfer, "wait": QueueMask.COMPUTE, "memory": Memory.OUTPUT, "region": OUTPUT, "scratch": 77}
            | {"length": SIZE * row // 4},
        ),
        (Opcode.END, {}),
    ]


class Case:
    """Operands, the program, and what must come out."""

    def __init__(self, config: ArrayConfig) -> None:
        rng = np.random.default_rng(3)
        self.image = rng.integers(-128, 128, (1, SIZE, SIZE, CHANNELS)).astype(np.int8)
        self.weights = rng.integers(-128, 128, (FILTERS, 3, 3, CHANNELS)).astype(np.int8)
        self.bias = rng.integers(-(1 << 16), 1 << 16, FILTERS).astype(np.int32)
        self.mul = rng.integers(1 << 16, 1 << 17, FILTERS).astype(np.uint32)
        code = assemble(convolution())
        self.output_type = TensorType((1, SIZE, SIZE, FILTERS), I8)
        self.program = Program(
            "by hand",
            "systolic",
            {name: getattr(config, name) for name in config.names()},
            config.digest(),
            len(code) // INSTRUCTION_BYTES,
            (
                Region("program", "program", len(code), code),
                Region("constants", "constants", 8192, self._constants()),
                Region("input", "input", self.image.size),
                Region("output", "output", self.output_type.size),
            ),
            (Binding("x", INPUT, 0, TensorType(self.image.shape, I8)),),
            (Binding("y", OUTPUT, 0, self.output_type),),
            (LayerInfo("conv", "conv2d", 0, 0), LayerInfo("store", "move", 0, 0)),
        )

    def _constants(self) -> bytes:
        rows = np.zeros((2, 9 * CHANNELS, 8), np.int8)  # filter tile, tap, filter
        parameters = []
        for index in range(16):
            if index < FILTERS:
                rows[index // 8, :, index % 8] = self.weights[index].ravel()
                bias = int(self.bias[index]) - ZERO * int(self.weights[index].sum())
                fields = {"bias": bias, "mul": int(self.mul[index]), "shift": SHIFT}
            else:
                fields = {"bias": 0, "mul": 0, "shift": 0}
            parameters.append(PARAMETER.const(fields).as_value().value & (1 << 64) - 1)
        return rows.tobytes() + b"".join(word.to_bytes(8, "little") for word in parameters)

    def expected(self) -> np.ndarray:
        conv = Conv2d(pads=(1, 1, 1, 1), x_zero=ZERO)
        arrays = (self.image, self.weights, self.bias)
        sums = conv.evaluate(
            *arrays, types=[TensorType(a.shape, t) for a, t in zip(arrays, (I8, I8, I32), strict=True)]
        )
        requantise = Requantise(zero=3, low=-100, high=120, rounding=Rounding.HALF_EVEN, dtype=I8)
        shift = np.array([SHIFT], np.uint8)
        return requantise.evaluate(sums, self.mul, shift, types=None)


@pytest.mark.parametrize("memory", MEMORIES)
def test_program_by_hand(memory: str) -> None:
    config = ArrayConfig()
    case = Case(config)
    with SimulatedBus(verilog(), TOP, data_width=64, memory_bytes=1 << 16, options=MEMORIES[memory]) as bus:
        result = Driver(bus, registers_of(REGISTER_MAP), case.program).run([case.image])
    assert np.array_equal(result.outputs["y"], case.expected())
    assert result.counters["compute_busy"] == 2 * 5 * 72  # filter tiles, tiles of pixels, taps
    if memory == "default":
        modelled = count_cycles(case.program, config)
        assert abs(result.cycles - modelled.cycles) <= 50


def test_vector_program_by_hand() -> None:
    config = ArrayConfig(vector_lanes=4)
    image = np.random.default_rng(4).integers(-128, 128, (1, SIZE, SIZE, CHANNELS)).astype(np.int8)
    code = assemble(pooling())
    output = TensorType((1, SIZE // 2, SIZE // 2, CHANNELS), I8)
    program = Program(
        "by hand",
        "systolic",
        {name: getattr(config, name) for name in config.names()},
        config.digest(),
        len(code) // INSTRUCTION_BYTES,
        (
            Region("program", "program", len(code), code),
            Region("constants", "constants", 64, bytes(64)),
            Region("input", "input", image.size),
            Region("output", "output", output.size),
        ),
        (Binding("x", INPUT, 0, TensorType(image.shape, I8)),),
        (Binding("y", OUTPUT, 0, output),),
        (),
    )
    with SimulatedBus(verilog(4), TOP, data_width=64, memory_bytes=1 << 16) as bus:
        result = Driver(bus, registers_of(REGISTER_MAP), program).run([image])
    windows = image.reshape(1, SIZE // 2, 2, SIZE // 2, 2, CHANNELS)
    assert np.array_equal(result.outputs["y"], windows.max(axis=(2, 4)))
    assert result.counters["compute_busy"] == CHANNELS // 4 * SIZE * SIZE


def test_capabilities_and_digest() -> None:
    config = ArrayConfig()
    with SimulatedBus(verilog(), TOP, data_width=64, memory_bytes=4096) as bus:
        words = [bus.read32(REGISTER_MAP.offset("CAPABILITY", index)) for index in range(len(config.names()))]
        assert words == [int(getattr(config, name)) for name in config.names()]
        assert bus.read32(REGISTER_MAP.offset("CONFIG_DIGEST")) == config.digest()


@pytest.mark.parametrize(
    "config",
    [
        ArrayConfig(),
        ArrayConfig(rows=3, columns=5, post_lanes=2, multiplier_width=0, lut=False),
        ArrayConfig(rows=2, columns=2, post_lanes=1, bus_bits=128, residual=False, pool=False),
        ArrayConfig(rows=2, columns=2, post_lanes=1, lut=False, vector_lanes=4),
        ArrayConfig(**(SUMS | {"vector_affine": True})),
        ArrayConfig(**SUMS),
    ],
    ids=["default", "dyadic", "plain", "vector unit", "vector unit without b", "vector unit for sums"],
)
def test_figures_are_those_of_the_netlist(config: ArrayConfig) -> None:
    netlist = rtlil.convert(Machine(config), emit_src=False)
    products = re.findall(r"^  cell \$mul .*?^    connect \\B (.*?)$", netlist, re.MULTILINE | re.DOTALL)
    real = [factor for factor in products if not re.fullmatch(r"\d+'0*10*", factor)]  # not by a power of two
    assert len(real) == config.multipliers + multipliers_outside_array(config)
    sizes = re.findall(r"^  memory width (\d+) size (\d+) ", netlist, re.MULTILINE)
    assert sum(int(width) * int(size) for width, size in sizes) // 8 == memory_bytes(config)
