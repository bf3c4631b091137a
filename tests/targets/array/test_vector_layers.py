"""Layers of the vector unit: what their instructions touch, where layers go, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np
import pytest
from tests.conformance.cases import CASES, Maker, inputs_of
from tests.conformance.cases_vector import VECTOR_CASES
from tests.conformance.machines import VECTOR

from gatewright import ir
from gatewright.errors import ProgramError
from gatewright.hdl.instruction import Memory
from gatewright.passes import run_passes
from gatewright.targets.array.assembler import Effects, decode, disassemble
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.isa_vector import ELEMENT_BYTES, VECTOR_UNIT, VectorOperation
from gatewright.targets.array.layers import layers_of, on_vector
from gatewright.targets.array.lower import lower
from gatewright.targets.array.model import Machine
from gatewright.targets.array.model_vector import VectorMachine
from gatewright.targets.array.supports import SUPPORT

PLAIN = ArrayConfig(vector_lanes=8)


class _Watched(VectorMachine):
    """Remembers the first and the last byte of the output scratchpad that a COMPUTE reads."""

    @cached_property
    def read(self) -> dict[Memory, tuple[int, int]]:
        return {}

    def _elements(self, memory: Memory, address: np.ndarray, size: int) -> np.ndarray:
        if memory == Memory.OUTPUT and address.size:
            low, high = self.read.get(memory, (1 << 62, 0))
            self.read[memory] = min(low, int(address.min())), max(high, int(address.max()) + ELEMENT_BYTES[size])
        return super()._elements(memory, address, size)


@pytest.mark.parametrize("case", VECTOR_CASES)
def test_effects_are_what_is_read_and_written(case: str) -> None:
    """Every byte that the operand b is read from, and every byte that a result changes, lies in a stated range."""
    config = VECTOR["3x5_v4"]
    graph = run_passes(VECTOR_CASES[case](Maker(case, dyadic=False)))
    program = lower(graph, config)
    regions = [np.zeros(region.size, np.uint8) for region in program.regions]
    for region, memory in zip(program.regions, regions, strict=True):
        memory[: len(region.data)] = np.frombuffer(region.data, np.uint8)
    for binding, array in zip(program.inputs, inputs_of(graph), strict=True):
        data = np.frombuffer(binding.pack(array), np.uint8)
        regions[binding.region][binding.offset : binding.offset + len(data)] = data
    machine, effects = Machine(config, regions), Effects(config)
    watched = _Watched(config.vector_lanes, config.vector_sum_width, machine.scratch, config.parameter_entry_bytes)
    machine.vector = watched
    for step in decode(program.code):
        stated = effects.of(step)
        watched.read.clear()
        before = {memory: data.copy() for memory, data in machine.scratch.items()}
        machine.step(step)
        if step.unit == VECTOR_UNIT and step.opcode == VectorOperation.COMPUTE:
            _check_reads(watched.read, [(a.space, a.start, a.stop) for a in stated if not a.writes])
            written = [(access.space, access.start, access.stop) for access in stated if access.writes]
            for memory, data in machine.scratch.items():
                changed = np.flatnonzero(data != before[memory])
                spans = [(start, stop) for space, start, stop in written if space == memory]
                assert all(any(start <= at < stop for start, stop in spans) for at in changed.tolist())


def _check_reads(read: Mapping[Memory, tuple[int, int]], stated: list[tuple[object, int, int]]) -> None:
    for memory, (low, high) in read.items():
        assert any(space == memory and start <= low and high <= stop for space, start, stop in stated)


@pytest.mark.parametrize(
    ("case", "where"),
    [
        ("conv_basic", [False]),
        ("conv_depthwise", [True]),
        ("conv_multiplied_depthwise", [False]),  # three filters a channel
        ("max_pool_fused", [False]),  # behind the convolution
        ("max_pool_overlapping", [True]),
        ("classifier", [False, False]),
        ("elementwise", [True, True]),
    ],
)
def test_what_goes_to_the_vector_unit(case: str, where: list[bool]) -> None:
    graph = run_passes(CASES[case](Maker(case, dyadic=False)))
    assert [on_vector(graph, layer, PLAIN) for layer in layers_of(graph, PLAIN)] == where
    without = ArrayConfig()
    assert not any(on_vector(graph, layer, without) for layer in layers_of(graph, without))


def test_a_depthwise_convolution_stays_on_an_array_that_is_faster() -> None:
    graph = run_passes(CASES["conv_depthwise"](Maker("conv", dyadic=False)))
    config = ArrayConfig(rows=16, columns=32, post_lanes=16, vector_lanes=1)
    assert not any(on_vector(graph, layer, config) for layer in layers_of(graph, config))


def test_tails_are_cut_before_what_the_unit_does_apart() -> None:
    graph = run_passes(VECTOR_CASES["depthwise_tails"](Maker("tails", dyadic=False)))
    names = [[node.op.name for node in layer.nodes] for layer in layers_of(graph, PLAIN)]
    assert ["conv2d", "requantise"] in names
    assert ["max_pool"] in names
    assert not any(len(ops) > 2 for ops in names)


def test_a_reshape_takes_no_instruction() -> None:
    maker = Maker("reshape", dyadic=False)
    graph = run_passes(maker.build(maker.op(ir.Reshape((490,)), maker.input(1, 7, 7, 10))))
    assert lower(graph, PLAIN).instruction_count == 1  # end


@pytest.mark.parametrize(
    ("case", "change", "message"),
    [
        ("multiplied", {"vector_lanes": 0}, r"the configuration has no vector unit \(vector_lanes = 0\)"),
        (
            "sums_of_constants",
            {"vector_sum_width": 16, "residual": False},
            r"sums reach \d+, beyond the 16 bits of the",
        ),
        ("leaky_relus", {"multiplier_width": 2}, r"mul must be below 2\^2, not 13"),
        ("reduced", {"vector_maximum": False}, r"the vector unit has no maximum \(vector_maximum = false\)"),
        ("rounded_products", {"vector_product_shift": False}, r"does not round products"),
        ("rounded_products", {"vector_operand_bytes": 1}, r"one shift must be within -128..127, not"),
        ("wide_moves", {"vector_operand_bytes": 1}, r"operand 'x' must be signed with 8 bits at most, not i16"),
        ("wide_elements", {"vector_result_bytes": 2}, r"the result must be signed with 16 bits at most, not i32"),
        ("sums_of_constants", {"vector_affine": False, "residual": False}, r"no addition \(vector_affine = false\)"),
        ("transposes", {"activation_bytes": 1024}, None),
    ],
)
def test_refusals(case: str, change: dict[str, int], message: str | None) -> None:
    graph = run_passes(VECTOR_CASES[case](Maker(case, dyadic=False)))
    config = replace(PLAIN, **change)
    reasons = [SUPPORT.reason(node, graph, config) for node in graph.nodes]
    if message is None:
        assert reasons == [None] * len(reasons)
    else:
        with pytest.raises(AssertionError, match=message):
            assert not any(reasons), next(reason for reason in reasons if reason)


def test_disassembly_names_the_unit() -> None:
    graph = run_passes(VECTOR_CASES["shifted"](Maker("shifted", dyadic=False)))
    text = disassemble(decode(lower(graph, PLAIN).code))
    assert all(f"  {name} " in text for name in ("v.pixels", "v.taps", "v.lanes", "v.post", "v.walk", "v.compute"))


def test_instructions_of_unknown_units_are_refused() -> None:
    code = (11 | 2 << 19).to_bytes(32, "little")  # `unit` is the last field of the header but one
    with pytest.raises(ProgramError, match=r"Instruction 0 is for unit 2, which is not one of \[0, 1\]"):
        decode(code)
