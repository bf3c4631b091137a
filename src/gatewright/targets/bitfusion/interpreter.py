"""Runs the block of a convolution on its data, operand by operand, and counts what the array does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from gatewright.errors import ProgramError
from gatewright.targets.bitfusion.conv import Schedule
from gatewright.targets.bitfusion.isa import HIGH_HALF, SIGNED, TOP, Fusion, Op, Register, Space
from gatewright.targets.bitfusion.mapping import Usage, mapping_of
from gatewright.targets.bitfusion.operands import WIDTHS

__all__ = ["interpret"]

_LOADED, _STORED = (Space.IBUF, Space.WBUF), (Space.OBUF,)
_SPACES = {Op.LD_MEM: _LOADED, Op.RD_BUF: _LOADED, Op.WR_BUF: _STORED, Op.ST_MEM: _STORED, Op.GEN_ADDR: tuple(Space)}
_STREAMS = {Space.IBUF: Space.MEM_INPUT, Space.WBUF: Space.MEM_WEIGHT, Space.OBUF: Space.MEM_OUTPUT}


@dataclass
class _Loop:
    """A loop, or with the id `TOP` the block itself, and what stands in its body."""

    number: int
    iterations: int
    body: list[Fusion | _Loop] = field(default_factory=list)


def interpret(schedule: Schedule) -> tuple[np.ndarray, Usage]:
    """Outputs [N, K, rows, columns] of running a schedule's block, and the usage of the array.

    Raises
    ------
    ProgramError
        If the block is no proper one, or leaves memory or a buffer.
    """
    machine = _Interpreter(schedule)
    machine.run()
    count, kernels, rows, columns = schedule.output_shape
    windows = (count * rows * columns, kernels)
    steps, rest = divmod(machine.steps, windows[0] * windows[1])
    if rest or not steps:
        raise ProgramError("every window must take as many cycles as the others, and at least one")
    usage = machine.plan.usage(windows, (steps, machine.products, machine.units))
    return machine.memory[Space.MEM_OUTPUT].reshape(schedule.output_shape), usage


def _check(word: Fusion) -> None:
    """That an instruction within a block names what it can work on."""
    if word.op == Op.BLOCK_END:
        raise ProgramError("block-end must be the last instruction of a block")
    if word.op == Op.SETUP and word.spec not in (Register.INPUT, Register.WEIGHT):
        raise ProgramError(f"{str(word)!r} must set up input or weight")
    spaces = _SPACES.get(word.op)
    if spaces is not None and word.spec % HIGH_HALF not in spaces:
        names = ", ".join(space.name.lower().replace("_", ".") for space in spaces)
        raise ProgramError(f"{str(word)!r} must name one of {names}")


class _Interpreter:
    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.memory = {
            Space.MEM_INPUT: schedule.inputs.astype(np.int64),
            Space.MEM_WEIGHT: schedule.weights.astype(np.int64),
            Space.MEM_OUTPUT: np.zeros(int(np.prod(schedule.output_shape)), np.int64),
        }
        self.strides: dict[Space, dict[int, int]] = {space: {} for space in Space}
        self.formats = {Register.INPUT: 8, Register.WEIGHT: 8}
        self.top = self._parse(schedule.block)
        self.widths = (self.formats[Register.INPUT] % SIGNED, self.formats[Register.WEIGHT] % SIGNED)
        for name, width in zip(("input", "weight"), self.widths, strict=True):
            if width not in WIDTHS:
                raise ProgramError(f"setup {name} must be {', '.join(map(str, WIDTHS))} bits, not {width}")
        array = (schedule.rows, schedule.columns)
        self.plan = mapping_of(schedule.mapping, array, self.widths, schedule.input_shape[3])
        self.buffers = {space: np.zeros(size, np.int64) for space, size in self._capacities().items()}
        self.filled = {Space.IBUF: 0, Space.WBUF: 0}
        self.operands = {space: np.zeros(0, np.int64) for space in self.filled}
        self.sum = self.steps = self.products = self.units = 0
        self.iterators: dict[int, int] = {}

    def _capacities(self) -> dict[Space, int]:
        """Operands of each buffer that a window may use; a column's worth of units."""
        s = self.schedule
        return {
            Space.IBUF: s.buffers.ibuf * 8 // self.widths[0] * s.rows,
            Space.WBUF: s.buffers.wbuf * 8 // self.widths[1] * s.rows,
            Space.OBUF: s.buffers.obuf // 4,
        }

    # From the text to nested loops.

    def _parse(self, block: tuple[Fusion, ...]) -> _Loop:
        top = _Loop(TOP, 1)
        nest, loops = [top], {TOP: top}
        if not block or block[-1].op != Op.BLOCK_END:
            raise ProgramError("a block must end with block-end")
        for word in block[:-1]:
            _check(word)
            if word.op == Op.SETUP:
                self.formats[Register(word.spec)] = word.immediate
            elif word.op == Op.LOOP:
                if word.spec >= len(nest) or word.loop in loops:
                    raise ProgramError(f"loop {word.loop} must be new, and at level {len(nest) - 1} at most")
                loops[word.loop] = _Loop(word.loop, word.immediate)
                nest[word.spec].body.append(loops[word.loop])
                nest[word.spec + 1 :] = [loops[word.loop]]
            elif word.op == Op.GEN_ADDR:
                strides = self.strides[Space(word.spec % HIGH_HALF)]
                shift = 16 if word.spec & HIGH_HALF else 0
                strides[word.loop] = strides.get(word.loop, 0) | word.immediate << shift
            elif word.loop not in loops:
                raise ProgramError(f"loop {word.loop} of {str(word)!r} must be set up before it is used")
            else:
                loops[word.loop].body.append(word)
        return top

    # Execution.

    def run(self) -> None:
        for word in self._words(self.top):
            if word.op == Op.COMPUTE:
                self._compute(word.immediate)
            else:
                getattr(self, f"_{word.op.name.lower()}")(Space(word.spec), word.immediate)

    def _words(self, loop: _Loop) -> Iterator[Fusion]:
        for iterator in range(loop.iterations):
            self.iterators[loop.number] = iterator
            for item in loop.body:
                if isinstance(item, _Loop):
                    yield from self._words(item)
                else:
                    yield item
        self.iterators[loop.number] = 0

    def _address(self, space: Space) -> int:
        return sum(self.iterators.get(loop, 0) * stride for loop, stride in self.strides[space].items())

    def _part(self, space: Space, count: int) -> slice:
        memory = self.memory.get(space, self.buffers.get(space))
        start = self._address(space)
        assert memory is not None
        if start + count > len(memory):
            name = space.name.lower().replace("_", ".")
            raise ProgramError(f"operands {start}..{start + count - 1} of {name} must be within its {len(memory)}")
        return slice(start, start + count)

    def _ld_mem(self, space: Space, count: int) -> None:
        place = self._part(space, count)
        self.buffers[space][place] = self.memory[_STREAMS[space]][self._part(_STREAMS[space], count)]
        self.filled[space] = max(self.filled[space], place.stop)

    def _rd_buf(self, space: Space, count: int) -> None:
        start = self._address(space)
        self.operands[space] = self.buffers[space][start : min(start + count, self.filled[space])]

    def _compute(self, cycles: int) -> None:
        inputs, weights = self.operands[Space.IBUF], self.operands[Space.WBUF]
        if len(inputs) != len(weights):
            raise ProgramError(f"compute must have as many inputs as weights, not {len(inputs)} and {len(weights)}")
        self.sum = int(inputs @ weights)
        self.steps += cycles
        self.products += len(inputs)
        self.units += self.plan.units(len(inputs))

    def _wr_buf(self, space: Space, count: int) -> None:
        self.buffers[space][self._part(space, count)] += self.sum

    def _st_mem(self, space: Space, count: int) -> None:
        """Sums go to memory, and their places start again from 0."""
        place = self._part(space, count)
        self.memory[_STREAMS[space]][self._part(_STREAMS[space], count)] = self.buffers[space][place]
        self.buffers[space][place] = 0
