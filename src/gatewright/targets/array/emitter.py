"""From tiled jobs to instructions: what is loaded where and when, and what COMPUTE is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gatewright.hdl.instruction import INSTRUCTION_BYTES, Memory, Opcode
from gatewright.targets.array.assembler import Step
from gatewright.targets.array.bands import Band, cheapest_bands, has_own_bias, taps_of, whole_band
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.emitter_vector import VectorEmitter
from gatewright.targets.array.graded import first_pixels, graded_blocks, graded_tiles
from gatewright.targets.array.isa import ROUNDING_CODES, Operation
from gatewright.targets.array.job import Job
from gatewright.targets.array.memory_map import MemoryMap, Place
from gatewright.targets.array.nest import pixel_fields
from gatewright.targets.array.operands import OperandLoader
from gatewright.targets.array.placement import LayerPlan, Span
from gatewright.targets.array.tiling import (
    TapBlock,
    Tile,
    choose_tiles,
    filter_blocks,
    tap_blocks,
    tile_output,
    tile_pixels,
    whole,
)
from gatewright.targets.array.timing import NEXT_CYCLES, START_CYCLES, drain_cycles
from gatewright.targets.array.vector_job import VectorLayer
from gatewright.targets.array.writer import Source

__all__ = ["Emitter"]

_SIZE_CODES = {1: 0, 2: 1, 4: 2}
_PIECES = 3  # that the first weights of a layer come in, at least
_LEAST_PIECE = 64  # bytes


@dataclass(frozen=True)
class _Target:
    """Where the post unit writes a tile: absolute addresses of its first byte, and the strides."""

    activation: int | None
    output: int | None
    residual: int
    pixel_bytes: int
    row_bytes: int

    def below(self, distance: int, job: Job) -> _Target:
        """The same, so many bytes on."""
        return replace(
            self,
            activation=None if self.activation is None else self.activation + distance,
            output=None if self.output is None else self.output + distance,
            residual=self.residual + job.at_residual(distance),
        )


class Emitter(OperandLoader):
    """Emits layer after layer; `steps` and `constants` are the result."""

    def __init__(self, config: ArrayConfig, memory: MemoryMap, sizes: Callable[[str], int]) -> None:
        super().__init__(config, memory, sizes)

    # One layer.

    def layer(self, index: int, work: Sequence[Job] | VectorLayer, plan: LayerPlan) -> None:
        """Emit a layer; its last instruction records the cycle it completes at stamp `index`."""
        self.forget(Operation.CONFIG_POST)  # always set: it is the fence behind the layer before
        self.loaded = dict.fromkeys(plan.load, 0)
        if isinstance(work, VectorLayer):
            VectorEmitter(self, index, plan).layer(work.passes)
        else:
            self._array_layer(index, work, plan)
        self._load_remainders(plan)
        self.steps[-1].fields |= {"stamp": 1, "stamp_index": index}

    def _array_layer(self, index: int, jobs: Sequence[Job], plan: LayerPlan) -> None:
        self._residual_loaded = not plan.load_residual
        output = jobs[0].output.value
        whole_stored = plan.to_memory and output in plan.output
        for number, job in enumerate(jobs):
            stored = self._job((index, number), job, plan, stores=whole_stored and len(jobs) == 1)
        if whole_stored and not stored:
            self._store_whole(output, plan.output[output])

    def _job(self, key: tuple[int, int], job: Job, plan: LayerPlan, *, stores: bool) -> bool:
        """Emit a job; with `stores`, store what it keeps on chip tile by tile, if tiles are whole rows (returned)."""
        depth_bytes = job.weights.shape[1] * self.config.weight_word_bytes
        tiles = self._tiles(job, plan, few=depth_bytes > self.config.weight_bytes, stores=stores)
        stores = stores and all(tile.columns == job.columns[-1].count for tile in tiles)
        single = len(tiles) == 1
        bus_bound = single and tile_pixels(job, tiles[0]) <= self.config.rows
        stay = self._stay(job, 2 if single else 1) and not bus_bound
        for tile in tiles:
            self.turn ^= 1
            if stay:
                target = self._resident_tile(key, job, tile, plan)
            else:
                split = depth_bytes > self.config.weight_bytes or (
                    depth_bytes > self.config.weight_bytes // 8 and tile_pixels(job, tile) <= self.config.rows
                )
                target = self._tile(key, job, tile, plan, split)
            if stores or self._staged(job, plan):
                self._store_tile(job, tile, target)
        return stores

    def _stay(self, job: Job, share: int) -> bool:
        """Whether all weights and parameters of a job fit that share of the scratchpads."""
        parameters = len(job.weights) * self.config.lane_groups * self.config.parameter_word_bytes
        return share * job.weights.nbytes <= self.config.weight_bytes and 2 * parameters <= self.config.parameter_bytes

    def _tiles(self, job: Job, plan: LayerPlan, *, few: bool, stores: bool) -> list[Tile]:
        streamed = job.image.value not in plan.activation
        staged = self._staged(job, plan)
        if streamed or staged or few:
            stage = plan.stage.size // job.output_share
            return choose_tiles(job, plan.stream.size if streamed else 0, stage if staged else 0, self.config, few=few)
        if self._stay(job, 1):
            return graded_tiles(job, self.config, loads=job.image.value in plan.load, stores=stores)
        return whole(job)

    @staticmethod
    def _staged(job: Job, plan: LayerPlan) -> bool:
        """Whether results go to memory tile by tile, and are nowhere whole on chip."""
        return job.output.value not in plan.activation and job.output.value not in plan.output

    # One tile.

    def _resident_tile(self, key: tuple[int, int], job: Job, tile: Tile, plan: LayerPlan) -> _Target:
        """A tile of a job whose weights stay; those that are not there yet are loaded as they are needed.

        The first tile of filters begins with few pixels and few taps, if the image is loaded now, to wait for little.
        """
        filters = len(job.weights)
        start = self.weights.find(key)
        if start is not None:
            source, target = self.source(job, tile, plan), self._target(job, tile, plan)
            self._resident_block(key, job, (tile, source, target), (0, filters), start)
            return target
        start = self.place_weights(key, job)
        early = job.image.value in plan.load and not self._staged(job, plan)
        heads = first_pixels(job, tile, self.config) if early else [tile]
        pieces = self._first_pieces(job) if tile_pixels(job, heads[0]) <= self.config.rows else None
        self.fetch_weights(key, job, start, (pieces or self._whole_taps(job))[0].depth)
        if len(heads) > 1:
            for head in heads:
                source, target = self.source(job, head, plan), self._target(job, head, plan)
                self._resident_block(key, job, (head, source, target), (0, 1), start, pieces)
                pieces = None
        source, target = self.source(job, tile, plan), self._target(job, tile, plan)
        for block in graded_blocks(filters):
            if block[0] or len(heads) == 1:
                self._resident_block(key, job, (tile, source, target), block, start, pieces)
                pieces = None
        return target

    def _whole_taps(self, job: Job) -> list[TapBlock]:
        return tap_blocks(job, self.config, self.config.weight_bytes)

    def _first_pieces(self, job: Job) -> list[TapBlock]:
        """The taps of one filter tile in a few blocks: a row of taps each, where there are rows."""
        depth = job.weights.shape[1] * self.config.weight_word_bytes
        return tap_blocks(job, self.config, max(depth // max(job.taps.rows, _PIECES), _LEAST_PIECE))

    def _resident_block(
        self,
        key: tuple[int, int],
        job: Job,
        place: tuple[Tile, Source, _Target],
        block: tuple[int, int],
        start: int,
        taps: list[TapBlock] | None = None,
    ) -> None:
        """Some tiles of filters of a tile of pixels; `taps` in pieces, of one tile of filters."""
        tile, source, target = place
        depth = job.weights.shape[1]
        self._load_table(job)
        self._configure(job, tile, target)
        for tap in taps or self._whole_taps(job):
            at = block[0] * depth + tap.start
            self.fetch_weights(key, job, start, at + (block[1] - block[0]) * tap.depth)
            weights = start + at * self.config.weight_word_bytes
            if tap.depth == depth:
                self._bands(key, job, place, block, tap, weights)
                continue
            last = tap.start + tap.depth == depth
            parameters = self.load_parameters(key, job, block) if last else 0
            self._config_taps(job, tap, source)
            self._compute(job, tile, source, target, block, tap, (weights, parameters), (tap.start == 0, last))

    def _tile(self, key: tuple[int, int], job: Job, tile: Tile, plan: LayerPlan, split: bool) -> _Target:
        room = (
            self.config.weight_bytes // 8
            if tile_pixels(job, tile) <= self.config.rows
            else self.config.weight_bytes // 4
        )
        blocks = filter_blocks(job, self.config, room)
        taps = tap_blocks(job, self.config, room if split else self.config.weight_bytes)
        first_weights = self.load_weights(key, job, blocks[0], taps[0]) if len(taps) == 1 else 0
        first_parameters = self.load_parameters(key, job, blocks[0])
        self._load_table(job)
        source = self.source(job, tile, plan)
        target = self._target(job, tile, plan)
        self._configure(job, tile, target)
        # Tiles of filters between the first and the last, which nothing waits for, come in blocks twice as large.
        inner = tap_blocks(job, self.config, 2 * room) if len(taps) > 1 else taps
        for number, block in enumerate(blocks if len(taps) == 1 else self._single(job)):
            parts = inner if 0 < number < len(job.weights) - 1 else taps
            for part, tap in enumerate(parts):
                fresh = number or len(taps) > 1
                weights = self.load_weights(key, job, block, tap) if fresh else first_weights
                if len(taps) == 1:
                    self._bands(key, job, (tile, source, target), block, tap, weights)
                    continue
                parameters = self.load_parameters(key, job, block) if number else first_parameters
                self._config_taps(job, tap, source)
                ends = (part == 0, part == len(parts) - 1)
                self._compute(job, tile, source, target, block, tap, (weights, parameters), ends)
        return target

    def _bands(
        self,
        key: tuple[int, int],
        job: Job,
        place: tuple[Tile, Source, _Target],
        block: tuple[int, int],
        tap: TapBlock,
        weights: int,
    ) -> None:
        """Some tiles of filters of a tile of pixels with all their taps but those outside the image."""
        tile, source, target = place
        for band in self._cheapest(job, tile, block[1] - block[0]):
            parameters = self.load_parameters(key, job, block, band)
            used = taps_of(tap, band, job)
            self._config_taps(job, used, source)
            there = target.below((band.tile.row - tile.row) * target.row_bytes, job)
            # Weights of a tile of filters follow those of the one before only where all are used.
            parts = [block] if used == tap else [(filters, filters + 1) for filters in range(*block)]
            for part in parts:
                before = part[0] - block[0]
                at = weights + (before * tap.depth + used.start) * self.config.weight_word_bytes
                constants = (at, parameters + before * self.parameter_size())
                self._compute(job, band.tile, source, there, part, used, constants, (True, True))

    def _cheapest(self, job: Job, tile: Tile, filters: int) -> tuple[Band, ...]:
        """The bands that take the least cycles for so many tiles of filters; one where their biases have no room."""
        config = self.config
        if not job.tileable or (job.pad and 3 * len(job.weights) * self.parameter_size() > config.parameter_bytes // 2):
            return (whole_band(job, tile),)

        def cycles(band: Band) -> float:
            steps = job.taps.depth(config.word_length) * band.taps // job.taps.rows
            tiles = filters * -(-tile_pixels(job, band.tile) // config.rows)
            computes = filters if job.tile_x is not None or band.taps < job.taps.rows else 1
            read = computes * INSTRUCTION_BYTES + filters * self.parameter_size() * has_own_bias(job, band)
            between = START_CYCLES - 1 + NEXT_CYCLES
            return tiles * max(steps, drain_cycles(config)) + computes * between + read / config.bus_bytes

        return cheapest_bands(job, tile, config.rows, cycles)

    @staticmethod
    def _single(job: Job) -> list[tuple[int, int]]:
        return [(tile, tile + 1) for tile in range(len(job.weights))]

    def _load_remainders(self, plan: LayerPlan) -> None:
        """Load what no tile of this layer read (a stride leaves rows out): later layers find the value whole."""
        end = self.steps.pop()
        for value in plan.load:
            self.load_rest(Memory.ACTIVATION, value, plan.activation[value].start, self.sizes(value))
        self.steps.append(end)

    def _target(self, job: Job, tile: Tile, plan: LayerPlan) -> _Target:
        out, offset = job.output, job.place(tile)
        residual = job.tail.residual
        activation, output = plan.activation.get(out.value), plan.output.get(out.value)
        if activation is not None or output is not None:
            at = plan.output[residual].start if residual else 0
            if residual and not self._residual_loaded:
                place = self.memory[residual]
                self.load(Memory.OUTPUT, place, at, self.sizes(residual))
                self._residual_loaded = True
            return _Target(
                activation.start + offset if activation else None,
                output.start + offset if output else None,
                at + job.at_residual(offset),
                out.pixel_bytes,
                out.row_bytes,
            )
        return self._stage(job, tile, plan.stage, offset)

    def _stage(self, job: Job, tile: Tile, room: Span, offset: int) -> _Target:
        """A tile's place in the output scratchpad, in turn, dense; the residual operand's tile is loaded behind it."""
        size = -(-tile_output(job, tile) // 64) * 64
        need = size * job.output_share
        base = room.start + (room.size // 2 // 64 * 64 if self.turn and need <= room.size // 2 // 64 * 64 else 0)
        row = tile.columns * job.column_pixels * job.result_bytes
        if job.tail.residual:
            place = self.memory[job.tail.residual]
            at = place.after(job.at_residual(offset))
            self._tile_transfer(Opcode.LOAD, job, tile, at, base + size, job.at_residual)
        return _Target(None, base, base + size, job.result_bytes, row)

    # Transfers.

    def _tile_transfer(
        self,
        opcode: Opcode,
        job: Job,
        tile: Tile,
        place: Place,
        scratch: int,
        scaled: Callable[[int], int] = lambda distance: distance,
    ) -> None:
        """Transfer a tile of the output, or of what lies like the output with `scaled` distances."""
        pixels = tile.columns * job.column_pixels
        nest = ((pixels, scaled(job.output.pixel_bytes)), (tile.rows, scaled(job.output.row_bytes)))
        self.transfer(opcode, Memory.OUTPUT, place, scratch, scaled(job.result_bytes), *nest)

    def _store_tile(self, job: Job, tile: Tile, target: _Target) -> None:
        assert target.output is not None
        place = self.memory[job.output.value].after(job.place(tile))
        self._tile_transfer(Opcode.STORE, job, tile, place, target.output)

    def _store_whole(self, value: str, span: Span) -> None:
        self.transfer(Opcode.STORE, Memory.OUTPUT, self.memory[value], span.start, self.sizes(value))

    def _load_table(self, job: Job) -> None:
        if job.tail.table is None:
            return
        self.load_table(job.tail.table.astype(np.int8).tobytes())

    # Configuration and compute.

    def _configure(self, job: Job, tile: Tile, target: _Target) -> None:
        *inner, outer = job.columns
        levels = [*job.window, *inner, replace(outer, count=tile.columns)]
        fields = pixel_fields(levels, replace(job.rows, count=tile.rows))
        self.configure(Operation.CONFIG_PIXELS, fields)
        if self.config.result_width > 8:
            self.configure(Operation.CONFIG_RANGE, self._bounds(job))
        self.configure(Operation.CONFIG_POST, self._post_fields(job, tile, target))

    def _bounds(self, job: Job) -> dict[str, int]:
        """The tail's bounds, clipped to what the machine's results and residual operands hold."""
        tail, limit = job.tail, 1 << (self.config.result_width - 1)
        added = 1 << (self.config.residual_width - 1)
        return {
            "zero": tail.zero,
            "low": max(tail.low, -limit),
            "high": min(tail.high, limit - 1),
            "add_bias": tail.add_bias,
            "add_zero": tail.add_zero,
            "add_low": max(tail.add_low, -added),
            "add_high": min(tail.add_high, added - 1),
        }

    def _post_fields(self, job: Job, tile: Tile, target: _Target) -> dict[str, int]:
        tail = job.tail
        count = tile.columns * job.column_pixels
        bounds = dict.fromkeys(self._bounds(job), 0) if self.config.result_width > 8 else self._bounds(job)
        return bounds | {
            "rounding": ROUNDING_CODES[tail.rounding],
            "negative_shift": tail.negative_shift,
            "residual": int(tail.residual is not None),
            "mul_a": tail.mul_a,
            "mul_b": tail.mul_b,
            "add_shift": tail.add_shift,
            "table": int(tail.table is not None),
            "pool_count": job.pool_count,
            "to_activation": int(target.activation is not None),
            "to_output": int(target.output is not None),
            "out_count": count,
            "out_step": target.pixel_bytes,
            "out_delta": target.row_bytes - (count - 1) * target.pixel_bytes,
            "filter_step": self.config.columns * job.output.element_bytes,
            "result_size": _SIZE_CODES[job.output.element_bytes],
            "residual_size": _SIZE_CODES[tail.residual_bytes],
        }

    def _config_taps(self, job: Job, tap: TapBlock, source: Source) -> None:
        taps, feed = job.taps, self.config.word_length
        along = (tap.words - 1) * feed * taps.element_bytes
        across = along + (tap.segments - 1) * taps.segment_step
        fields = {
            "words": tap.words,
            "count_s": tap.segments,
            "dx_s": taps.segment_step - along if tap.segments > 1 else 0,
            "count_r": tap.rows,
            "dy_r": taps.row_step if tap.rows > 1 else 0,
            "dx_r": -across if tap.rows > 1 else 0,
            "row_bytes": source.row_bytes,
            "pitch": source.row_bytes,
            "pad": job.pad,
            "wide": int(taps.element_bytes == 2),
        }
        self.configure(Operation.CONFIG_TAPS, fields)

    def _compute(
        self,
        job: Job,
        tile: Tile,
        source: Source,
        target: _Target,
        block: tuple[int, int],
        tap: TapBlock,
        constants: tuple[int, int],
        ends: tuple[bool, bool],
    ) -> None:
        """COMPUTE over a block of filter tiles, or one for each when they read different bytes."""
        config, outer = self.config, job.columns[-1]
        step = 1 if job.tile_x is not None else block[1] - block[0]
        word = config.lane_groups * config.parameter_word_bytes
        for first in range(block[0], block[1], step):
            stop, offset = first + step, first * config.columns * job.output.element_bytes
            ragged = job.filters - (len(job.weights) - 1) * config.columns
            x = job.x0 + tile.column * outer.dx + tap.dx - source.x
            fields = {
                "base": source.base % (1 << 20),
                "y0": job.y0 + tile.row * job.rows.dy + tap.dy - source.y,
                "x0": x + (job.tile_x[first] if job.tile_x is not None else 0),
                "outer_count": tile.rows,
                "height": source.height,
                "weight_base": (constants[0] + (first - block[0]) * tap.depth * config.weight_word_bytes)
                % config.weight_bytes,
                "filter_tiles": step,
                "last_columns": ragged if stop == len(job.weights) else config.columns,
                "parameter_base": constants[1] + (first - block[0]) * word,
                "activation_base": (target.activation or 0) + (offset if target.activation is not None else 0),
                "output_base": (target.output or 0) + (offset if target.output is not None else 0),
                "residual_base": target.residual + job.at_residual(offset) if job.tail.residual else 0,
                "first": int(ends[0]),
                "last": int(ends[1]),
            }
            self.steps.append(Step(Operation.COMPUTE, fields))
