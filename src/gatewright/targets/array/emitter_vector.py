"""From passes of the vector unit to instructions: what is loaded where and when, and what its COMPUTE is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gatewright.errors import ConfigError
from gatewright.hdl.burst import longest_burst
from gatewright.hdl.instruction import Memory, Opcode
from gatewright.targets.array.assembler import Step
from gatewright.targets.array.isa import ROUNDING_CODES, parameter_dtype
from gatewright.targets.array.isa_vector import ELEMENT_BYTES, VECTOR_UNIT, VectorOperation
from gatewright.targets.array.nest import nest_of, pixel_fields
from gatewright.targets.array.placement import LayerPlan, Span
from gatewright.targets.array.tiling import Extent, Tile
from gatewright.targets.array.tiling_vector import (
    Rooms,
    choose_vector_tiles,
    operand_bytes,
    own_tile,
    vector_extents,
    vector_output,
)
from gatewright.targets.array.vector_job import Operand, VectorJob, VectorPass
from gatewright.targets.array.writer import Ring, Source, Writer

__all__ = ["VectorEmitter", "constant_bytes"]

_SLOTS = 6
_MOST_GROUPS = 4095
_MOST_HEIGHT = 16383


def constant_bytes(job: VectorJob) -> tuple[int, int]:
    """Bytes of a constant operand b: all of it, and of one group of lanes."""
    operand = job.operand
    if operand is None or operand.data is None:
        return 0, 0
    size = operand.data.size * operand.element_bytes
    return size, size // len(operand.data)


@dataclass(frozen=True)
class _Target:
    """Where a tile of the result begins; `offset` is that place in the value."""

    activation: int | None
    output: int | None
    offset: int


@dataclass(frozen=True)
class _Block:
    """Groups of lanes that one COMPUTE runs over: [first, stop) of `count`; their parameters and constants."""

    first: int
    stop: int
    count: int
    parameters: int = 0
    operand: int = 0


class _Room:
    """A ring somewhere in a scratchpad, of room for `_SLOTS` of the largest entry: each is a token that may wait."""

    def __init__(self, span: Span, line: int, largest: int = 1 << 20) -> None:
        size = min(span.size, _SLOTS * -(-largest // line) * line)
        self.start, self.ring = span.start, Ring(max(size // line * line, line), line)

    def find(self, key: object) -> int | None:
        found = self.ring.find(key)
        return None if found is None else self.start + found

    def put(self, key: object, size: int) -> int:
        return self.start + self.ring.put(key, max(size, 1))


class VectorEmitter:
    """Emits one layer into a writer."""

    def __init__(self, writer: Writer, index: int, plan: LayerPlan) -> None:
        self.writer, self.index, self.plan, self.config = writer, index, plan, writer.config
        self.lanes = writer.config.vector_lanes
        self.burst = longest_burst(writer.config.bus_bytes) * writer.config.bus_bytes
        self.done = self.stored = 0  # bytes of the result, from its start
        self.in_order = True
        self.operand_loaded = 0 if plan.load_residual else None
        self.constants = _Room(plan.constants, self.config.scratch_line)

    def layer(self, passes: Sequence[VectorPass]) -> None:
        for number, pass_ in enumerate(passes):
            self._pass((self.index, number), pass_)
        value = passes[0].output.value
        if self.plan.to_memory and value in self.plan.output:
            self._store_up_to(value, self.writer.sizes(value))

    # One pass.

    def _pass(self, key: tuple[int, int], pass_: VectorPass) -> None:
        job, plan = pass_.jobs[0], self.plan
        dense = job.operand is not None and job.operand.dense
        staged = job.output.value not in plan.activation and job.output.value not in plan.output
        line = self.config.scratch_line
        stage, beside = self._stage(pass_, staged and dense, line)
        streamed = any(each.image.value not in plan.activation for each in pass_.jobs)
        rooms = Rooms(
            plan.stream.size if streamed else None,
            stage.size if staged else None,
            beside.size if staged and dense else None,
        )
        tiles = choose_vector_tiles(pass_, rooms, self._moved(pass_, staged), self.config)
        self.stream = _Room(plan.stream, line, max(_stream_bytes(pass_, tile, line) for tile in tiles))
        self.stage = _Room(stage, line, max(vector_output(pass_, tile) for tile in tiles))
        self.beside = _Room(beside, line, max(operand_bytes(pass_, tile) for tile in tiles))
        for tile in tiles:
            self._tile(key, pass_, tile, staged=staged)

    def _stage(self, pass_: VectorPass, shared: bool, line: int) -> tuple[Span, Span]:
        """Room for tiles of the result, and of the operand b where it comes tile by tile."""
        stage = self.plan.stage
        if not shared:
            return stage, Span(0, 0)
        tile = Tile(0, 0, 1, 0, pass_.jobs[0].columns[-1].count)
        result, operand = vector_output(pass_, tile), operand_bytes(pass_, tile)
        least, beside = (-(-size // line) * line for size in (result, operand))
        first = min(max(stage.size * result // (result + operand) // line * line, least), stage.size - beside)
        return Span(stage.start, first), Span(stage.start + first, stage.size - first)

    def _moved(self, pass_: VectorPass, staged: bool) -> tuple[int, int]:
        """Bytes of an image that this pass loads and stores."""
        whole = Tile(0, 0, pass_.rows, 0, pass_.jobs[0].columns[-1].count)
        parts = vector_extents(pass_, whole).items()
        plan = self.plan
        loads = sum(part.size for (value, _), part in parts if value in plan.load or value not in plan.activation)
        if staged or plan.load_residual:
            loads += operand_bytes(pass_, whole)
        return loads, vector_output(pass_, whole) if staged or plan.to_memory else 0

    # One tile.

    def _tile(self, key: tuple[int, int], pass_: VectorPass, tile: Tile, *, staged: bool) -> None:
        extents = vector_extents(pass_, tile)
        sources = {name: self._source(pass_, name, part, tile) for name, part in extents.items()}
        target = self._target(pass_, tile, staged)
        for number, job in enumerate(pass_.jobs):
            if job.tail.table is not None:
                self.writer.load_table(job.tail.table.astype(np.int8).tobytes())
            b = self._operand(job, tile, pass_, staged=staged)
            source = sources[job.image.value, job.start]
            part = own_tile(pass_, job, tile)
            for block in self._blocks((*key, number), job):
                self._configure(job, part, source)
                self._compute(job, part, source, target, b, block, job.output.offset - pass_.output.offset)
        self._store(pass_, tile, target, staged=staged)

    def _source(self, pass_: VectorPass, name: tuple[str, int], part: Extent, tile: Tile) -> Source:
        (value, start), writer = name, self.writer
        image = next(job.image for job in pass_.jobs if (job.image.value, job.start) == name)
        offset = start + tile.image * image.image_bytes + part.y * image.row_bytes
        if value in self.plan.activation:
            base = self.plan.activation[value].start
            stop = offset + (part.rows - 1) * image.row_bytes + part.x_stop
            self._load_ahead(value, base, stop if part.size else 0)
            return Source(base + offset, part.y, 0, min(image.height - part.y, _MOST_HEIGHT), image.row_bytes)
        entry = (value, start, tile.image, part)
        found = self.stream.find(entry)
        base = self.stream.put(entry, part.size) if found is None else found
        if found is None:
            place = writer.memory[value]
            at = place.after(offset + part.x)
            if part.size and part.row_bytes == image.row_bytes:
                writer.load(Memory.ACTIVATION, at, base, min(part.size, writer.sizes(value) - offset))
            elif part.size:
                writer.load(Memory.ACTIVATION, at, base, part.row_bytes, (part.rows, image.row_bytes))
        return Source(base, part.y, part.x, part.rows, part.row_bytes)

    def _load_ahead(self, value: str, base: int, stop: int) -> None:
        """Load a value that stays up to `stop`, or to the end of the last burst where more than that is left."""
        if value in self.writer.loaded:
            self.writer.load_rest(Memory.ACTIVATION, value, base, self._whole_bursts(value, stop))

    def _whole_bursts(self, value: str, stop: int) -> int:
        size, rounded = self.writer.sizes(value), -(-stop // self.burst) * self.burst
        return min(stop, size) if size - stop < self.burst else rounded

    def _target(self, pass_: VectorPass, tile: Tile, staged: bool) -> _Target:
        output, plan = pass_.output, self.plan
        offset = output.offset + tile.image * output.image_bytes + tile.row * output.row_bytes
        offset += tile.column * (output.row_bytes // pass_.jobs[0].columns[-1].count)
        if staged:
            return _Target(None, self.stage.put(object(), vector_output(pass_, tile)), offset)
        activation, kept = plan.activation.get(output.value), plan.output.get(output.value)
        return _Target(activation.start + offset if activation else None, kept.start + offset if kept else None, offset)

    # The operand b.

    def _operand(self, job: VectorJob, tile: Tile, pass_: VectorPass, *, staged: bool) -> int:
        """Address of the first b of a tile; constants have theirs in the block."""
        operand, writer = job.operand, self.writer
        if operand is None or operand.layout is None:
            return 0
        layout = operand.layout
        if not operand.dense:
            base = self.plan.output[layout.value].start
            self._load_operand(layout.value, base, writer.sizes(layout.value))
            return base
        offset = layout.offset + tile.image * layout.image_bytes + tile.row * layout.row_bytes
        offset += tile.column * (layout.row_bytes // job.columns[-1].count)
        size = min(operand_bytes(pass_, tile), writer.sizes(layout.value) - offset)
        if staged:
            place, base = writer.memory[layout.value], self.beside.put(object(), operand_bytes(pass_, tile))
            writer.load(Memory.OUTPUT, place.after(offset), base, size)
            return base
        base = self.plan.output[layout.value].start
        self._load_operand(layout.value, base, self._whole_bursts(layout.value, offset + size))
        return base + offset

    def _load_operand(self, value: str, base: int, stop: int) -> None:
        if self.operand_loaded is not None and stop > self.operand_loaded:
            place, done = self.writer.memory[value], self.operand_loaded
            self.writer.load(Memory.OUTPUT, place.after(done), base + done, stop - done)
            self.operand_loaded = stop

    def _blocks(self, key: tuple[int, ...], job: VectorJob) -> Iterator[_Block]:
        """The groups of lanes, cut where parameters or constants do not fit; those of a block are loaded for it."""
        count, config = -(-job.elements // self.lanes), self.config
        entry = self.lanes * self.config.parameter_entry_bytes
        most = min(count, _MOST_GROUPS)
        if job.parameters is not None and count * entry > config.parameter_bytes // 2:
            most = min(most, config.parameter_bytes // 2 // entry)
        total, each = constant_bytes(job)
        room = self.plan.constants.size
        if total > room:
            most = min(most, max(1, room // 2 // each))
        if most < 1:
            raise ConfigError(
                f"parameter_bytes must be at least {2 * entry} for layer {job.name!r}, not {config.parameter_bytes}"
            )
        for first in range(0, count, most):
            stop = min(first + most, count)
            parameters = self._parameters(key, job, first, stop) if job.parameters is not None else 0
            constants = self._constants(key, job.operand, first, stop) if total else 0
            yield _Block(first, stop, count, parameters, constants)

    def _parameters(self, key: tuple[int, ...], job: VectorJob, first: int, stop: int) -> int:
        """Address of the parameters of some groups, loaded unless they are there."""
        full = ("vector parameters", key, first, stop)
        start = self.writer.parameters.find(full)
        if start is None:
            data = self._entries(job)[first * self.lanes : stop * self.lanes].tobytes()
            start = self.writer.parameters.put(full, len(data))
            self.writer.load_constants(Memory.PARAMETER, full, data, start)
        return start

    def _entries(self, job: VectorJob) -> np.ndarray:
        """Entries of the parameter scratchpad for elements up to whole groups, as `isa.parameter_dtype`."""
        assert job.parameters is not None
        count = -(-job.elements // self.lanes) * self.lanes
        entries = np.zeros(count, parameter_dtype(self.config.bias_width))
        mine = entries[: job.elements]
        mine["bias"] = job.parameters.bias
        mine["mul_shift"] = job.parameters.mul | job.parameters.shift << 24
        return entries

    def _constants(self, key: tuple[int, ...], operand: Operand | None, first: int, stop: int) -> int:
        """Address of the constant b of some groups, loaded unless it is there."""
        assert operand is not None
        assert operand.data is not None
        full = ("operand", key, first, stop)
        start = self.constants.find(full)
        if start is None:
            data = operand.data[first:stop].astype(f"<i{operand.element_bytes}").tobytes()
            start = self.constants.put(full, len(data))
            self.writer.load_constants(Memory.OUTPUT, full, data, start)
        return start

    # Stores.

    def _store(self, pass_: VectorPass, tile: Tile, target: _Target, *, staged: bool) -> None:
        value, writer = pass_.output.value, self.writer
        size = min(vector_output(pass_, tile), writer.sizes(value) - target.offset)
        if staged:
            place = writer.memory[value]
            assert target.output is not None
            writer.transfer(Opcode.STORE, Memory.OUTPUT, place.after(target.offset), target.output, size)
            return
        self.in_order = self.in_order and target.offset == self.done
        if self.plan.to_memory and self.in_order:
            self.done += size
            self._store_up_to(value, self.done if size < self.burst else self.done // self.burst * self.burst)

    def _store_up_to(self, value: str, stop: int) -> None:
        """Store a result that stays in the output scratchpad as far as it is there."""
        if stop > self.stored:
            place, base = self.writer.memory[value], self.plan.output[value].start
            at = place.after(self.stored)
            self.writer.transfer(Opcode.STORE, Memory.OUTPUT, at, base + self.stored, stop - self.stored)
            self.stored = stop

    # Configuration and compute.

    def _configure(self, job: VectorJob, tile: Tile, source: Source) -> None:
        *inner, outer = job.columns
        levels = [*inner, replace(outer, count=tile.columns)]
        fields = pixel_fields(levels, replace(job.rows, count=tile.rows))
        self._config(VectorOperation.CONFIG_PIXELS, fields)
        taps = nest_of(job.taps)
        (_, dx0), (dy1, dx1), (dy2, dx2) = taps.deltas
        fields = {f"count{level}": count for level, count in enumerate(taps.counts)}
        fields |= {"dx0": dx0, "dy1": dy1, "dx1": dx1, "dy2": dy2, "dx2": dx2, "pad": job.pad}
        fields |= {"row_bytes": source.row_bytes, "pitch": source.row_bytes}
        self._config(VectorOperation.CONFIG_TAPS, fields)
        self._config(VectorOperation.CONFIG_LANES, self._lane_fields(job))
        self._config(VectorOperation.CONFIG_POST, _post_fields(job))
        self._config(VectorOperation.CONFIG_WALK, self._walk_fields(job, tile))

    def _config(self, opcode: Opcode, fields: dict[str, int]) -> None:
        self.writer.configure(opcode, {"unit": VECTOR_UNIT, **fields})

    def _lane_fields(self, job: VectorJob) -> dict[str, int]:
        b = job.operand
        return {
            "operation": int(job.operation),
            "operand": int(b is not None),
            "a_size": ELEMENT_BYTES.index(job.image.element_bytes),
            "b_size": ELEMENT_BYTES.index(b.element_bytes) if b else 0,
            "out_size": ELEMENT_BYTES.index(job.output.element_bytes),
            "a_repeat": int(job.repeat),
            "b_repeat": int(b.repeat) if b else 0,
            "a_zero": job.a_zero,
            "b_zero": b.zero if b else 0,
            "mul_a": job.mul_a,
            "mul_b": job.mul_b,
            "product_shift": job.product_shift,
        }

    def _walk_fields(self, job: VectorJob, tile: Tile) -> dict[str, int]:
        out, b, lanes = job.output, job.operand, self.lanes
        count = tile.columns * job.column_pixels
        in_a_row = tile.rows == 1 or out.row_bytes == count * out.pixel_bytes
        if in_a_row:
            count = 1
        fields = {
            "to_activation": int(out.value in self.plan.activation),
            "to_output": int(out.value not in self.plan.activation or out.value in self.plan.output),
            "out_count": count,
            "out_step": 0 if in_a_row else out.pixel_bytes,
            "out_delta": out.pixel_bytes if in_a_row else out.row_bytes - (count - 1) * out.pixel_bytes,
            "a_group_step": 0 if job.repeat else lanes * job.image.element_bytes,
            "group_step": lanes * out.element_bytes,
            **dict.fromkeys(("b_step", "b_delta", "b_tap_step", "b_group_step"), 0),
        }
        if b is not None and b.data is not None:
            fields["b_tap_step"] = 0 if b.repeat else lanes * b.element_bytes
            fields["b_group_step"] = 0 if b.repeat else job.tap_count * lanes * b.element_bytes
        elif b is not None and b.layout is not None:
            step, row = b.layout.pixel_bytes, b.layout.row_bytes
            fields["b_step"] = 0 if in_a_row else step
            fields["b_delta"] = step if in_a_row else row - (count - 1) * step
            fields["b_group_step"] = 0 if b.repeat else lanes * b.element_bytes
        return fields

    def _compute(
        self, job: VectorJob, tile: Tile, source: Source, target: _Target, b: int, block: _Block, part: int
    ) -> None:
        """COMPUTE over a block of groups; `part` is where the job's part of a row begins."""
        first = block.first * self.lanes
        shift = part + first * job.output.element_bytes
        x = job.x0 + tile.column * job.columns[-1].dx + tile.row * job.rows.dx - source.x
        constant = job.operand is not None and job.operand.data is not None
        beside = 0 if job.operand is None or job.operand.repeat else first * job.operand.element_bytes
        fields = {
            "unit": VECTOR_UNIT,
            "base": source.base,
            "y0": job.y0 + tile.row * job.rows.dy - source.y,
            "x0": x + (0 if job.repeat else first * job.image.element_bytes),
            "outer_count": tile.rows,
            "height": source.height,
            "groups": block.stop - block.first,
            "last_lanes": job.elements - (block.count - 1) * self.lanes if block.stop == block.count else self.lanes,
            "parameter_base": block.parameters,
            "activation_base": target.activation + shift if target.activation is not None else 0,
            "output_base": target.output + shift if target.output is not None else 0,
            "b_base": block.operand if constant else b + beside,
        }
        self.writer.steps.append(Step(VectorOperation.COMPUTE, fields))


def _stream_bytes(pass_: VectorPass, tile: Tile, line: int) -> int:
    return sum(-(-part.size // line) * line for part in vector_extents(pass_, tile).values())


def _post_fields(job: VectorJob) -> dict[str, int]:
    tail, per_channel = job.tail, job.parameters is not None
    most = (1 << (8 * job.output.element_bytes - 1)) - 1
    return {
        "per_channel": int(per_channel),
        "bias": 0 if per_channel else tail.bias,
        "mul": 0 if per_channel else tail.mul,
        "shift": 0 if per_channel else tail.shift,
        "negative_shift": tail.negative_shift,
        "leaky": int(tail.leaky),
        "rounding": ROUNDING_CODES[tail.rounding],
        "zero": tail.zero,
        "low": max(tail.low, -most - 1),
        "high": min(tail.high, most),
        "table": int(tail.table is not None),
    }
