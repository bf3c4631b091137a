"""From tiled jobs to instructions: what is loaded where and when, and what COMPUTE is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gatewright.errors import ConfigError
from gatewright.hdl.instruction import Memory, Opcode
from gatewright.targets.array.assembler import Step
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.emitter_vector import VectorEmitter
from gatewright.targets.array.isa import PIXEL_LEVELS, ROUNDING_CODES, Operation, parameter_dtype
from gatewright.targets.array.job import Job, Level
from gatewright.targets.array.memory_map import MemoryMap, Place
from gatewright.targets.array.placement import LayerPlan, Span
from gatewright.targets.array.tiling import (
    TapBlock,
    Tile,
    choose_tiles,
    extent,
    filter_blocks,
    tap_blocks,
    tile_output,
    tile_pixels,
    whole,
)
from gatewright.targets.array.vector_job import VectorLayer
from gatewright.targets.array.writer import Ring, Writer

__all__ = ["Emitter"]

_SIZE_CODES = {1: 0, 2: 1, 4: 2}


@dataclass(frozen=True)
class _Source:
    """Where the feed finds a tile's image: `base` of row `y`, byte `x`."""

    base: int
    y: int
    x: int
    height: int
    row_bytes: int
    pitch: int


@dataclass(frozen=True)
class _Target:
    """Where the post unit writes a tile: absolute addresses of its first byte, and the strides."""

    activation: int | None
    output: int | None
    residual: int
    pixel_bytes: int
    row_bytes: int


class Emitter(Writer):
    """Emits layer after layer; `steps` and `constants` are the result."""

    def __init__(self, config: ArrayConfig, memory: MemoryMap, sizes: Callable[[str], int]) -> None:
        super().__init__(config, memory, sizes)
        self._weights = Ring(config.weight_bytes, max(config.bus_bytes, config.weight_word_bytes), wrap=True)
        self._turn = 0

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
        for number, job in enumerate(jobs):
            self._job((index, number), job, plan)
        output = jobs[0].output.value
        if plan.to_memory and output in plan.output:
            self._store_whole(output, plan.output[output])

    def _job(self, key: tuple[int, int], job: Job, plan: LayerPlan) -> None:
        depth_bytes = job.weights.shape[1] * self.config.weight_word_bytes
        for tile in self._tiles(job, plan, few=depth_bytes > self.config.weight_bytes):
            split = depth_bytes > self.config.weight_bytes or (
                depth_bytes > self.config.weight_bytes // 8 and tile_pixels(job, tile) <= self.config.rows
            )
            self._tile(key, job, tile, plan, split)

    def _tiles(self, job: Job, plan: LayerPlan, few: bool) -> list[Tile]:
        streamed = job.image.value not in plan.activation
        staged = job.output.value not in plan.activation and job.output.value not in plan.output
        if not streamed and not staged and not few:
            return self._early_tiles(job, plan)
        stage = plan.stage.size // job.output_share
        return choose_tiles(job, plan.stream.size if streamed else 0, stage if staged else 0, self.config, few=few)

    def _early_tiles(self, job: Job, plan: LayerPlan) -> list[Tile]:
        """One tile an image; a few when the image is loaded just now and the weights stay: work starts early."""
        tiles = whole(job)
        early = job.image.value in plan.load and job.tileable and job.weights.nbytes <= self.config.weight_bytes // 2
        if not early or job.image.image_bytes < 2048:
            return tiles
        step = -(-job.rows.count // 4)
        return [
            Tile(tile.image, row, min(row + step, job.rows.count), 0, tile.column_stop)
            for tile in tiles
            for row in range(0, job.rows.count, step)
        ]

    # One tile.

    def _tile(self, key: tuple[int, int], job: Job, tile: Tile, plan: LayerPlan, split: bool) -> None:
        self._turn ^= 1
        room = (
            self.config.weight_bytes // 8
            if tile_pixels(job, tile) <= self.config.rows
            else self.config.weight_bytes // 4
        )
        blocks = filter_blocks(job, self.config, room)
        taps = tap_blocks(job, self.config, room if split else self.config.weight_bytes)
        first_weights = self._load_weights(key, job, blocks[0], taps[0]) if len(taps) == 1 else 0
        first_parameters = self._load_parameters(key, job, blocks[0])
        self._load_table(job)
        source = self._source(job, tile, plan)
        target = self._target(job, tile, plan)
        self._configure(job, tile, target)
        for number, block in enumerate(blocks if len(taps) == 1 else self._single(job)):
            for part, tap in enumerate(taps):
                fresh = number or len(taps) > 1
                weights = self._load_weights(key, job, block, tap) if fresh else first_weights
                parameters = self._load_parameters(key, job, block) if number else first_parameters
                self._config_taps(job, tap, source)
                ends = (part == 0, part == len(taps) - 1)
                self._compute(job, tile, source, target, block, tap, (weights, parameters), ends)
        if target.activation is None and job.output.value not in plan.output:
            self._store_tile(job, tile, target)

    @staticmethod
    def _single(job: Job) -> list[tuple[int, int]]:
        return [(tile, tile + 1) for tile in range(len(job.weights))]

    def _source(self, job: Job, tile: Tile, plan: LayerPlan) -> _Source:
        image, part = job.image, extent(job, tile)
        place = self.memory.get(image.value)
        if image.value in plan.activation:
            base = plan.activation[image.value].start
            if image.value in self.loaded and place is not None:
                self.load_rest(
                    Memory.ACTIVATION, image.value, base, tile.image * image.image_bytes + part.y_stop * image.row_bytes
                )
            base += tile.image * image.image_bytes
            return _Source(base, 0, 0, image.height, image.row_bytes, image.row_bytes)
        assert place is not None, image.value
        half = plan.stream.size // 2
        base = plan.stream.start + (half if self._turn and part.size <= half else 0)
        if part.size:
            offset = place.offset + tile.image * image.image_bytes + part.y * image.row_bytes + part.x
            self.load(
                Memory.ACTIVATION, Place(place.region, offset), base, part.row_bytes, (part.rows, image.row_bytes)
            )
        return _Source(base, part.y, part.x, part.rows, part.row_bytes, part.row_bytes)

    def _load_remainders(self, plan: LayerPlan) -> None:
        """Load what no tile of this layer read (a stride leaves rows out): later layers find the value whole."""
        end = self.steps.pop()
        for value in plan.load:
            self.load_rest(Memory.ACTIVATION, value, plan.activation[value].start, self.sizes(value))
        self.steps.append(end)

    def _target(self, job: Job, tile: Tile, plan: LayerPlan) -> _Target:
        out = job.output
        inner = job.row_pixels // job.columns[-1].count
        offset = out.offset + tile.image * out.image_bytes + tile.row * out.row_bytes
        offset += tile.column * inner * out.pixel_bytes
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
        base = room.start + (room.size // 2 // 64 * 64 if self._turn and need <= room.size // 2 // 64 * 64 else 0)
        row = tile.columns * job.row_pixels // job.columns[-1].count * job.result_bytes
        if job.tail.residual:
            place = self.memory[job.tail.residual]
            at = Place(place.region, place.offset + job.at_residual(offset))
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
        pixels = tile.columns * job.row_pixels // job.columns[-1].count
        nest = ((pixels, scaled(job.output.pixel_bytes)), (tile.rows, scaled(job.output.row_bytes)))
        self.transfer(opcode, Memory.OUTPUT, place, scratch, scaled(job.result_bytes), *nest)

    def _store_tile(self, job: Job, tile: Tile, target: _Target) -> None:
        out, place = job.output, self.memory[job.output.value]
        inner = job.row_pixels // job.columns[-1].count
        offset = out.offset + tile.image * out.image_bytes + tile.row * out.row_bytes
        offset += tile.column * inner * out.pixel_bytes
        assert target.output is not None
        self._tile_transfer(Opcode.STORE, job, tile, Place(place.region, place.offset + offset), target.output)

    def _store_whole(self, value: str, span: Span) -> None:
        self.transfer(Opcode.STORE, Memory.OUTPUT, self.memory[value], span.start, self.sizes(value))

    # Constants.

    def _load_weights(self, key: object, job: Job, block: tuple[int, int], tap: TapBlock) -> int:
        """Address of the weights of some filter tiles and taps, loaded unless they are there."""
        full = ("weights", key, block, tap.start, tap.depth)
        found = self._weights.find(full)
        if found is not None:
            return found
        data = job.weights[block[0] : block[1], tap.start : tap.start + tap.depth].tobytes()
        if len(data) > self.config.weight_bytes:
            have = self.config.weight_bytes
            raise ConfigError(f"weight_bytes must be at least {len(data)} for layer {job.name!r}, not {have}")
        start = self._weights.put(full, len(data))
        self._load_weight_pieces(self.pack(full, data), start, len(data))
        return start

    def _load_weight_pieces(self, offset: int, start: int, size: int) -> None:
        """In pieces where one block fills much of the scratchpad: the first ones need not wait for all the room."""
        whole, line = self.config.weight_bytes, self.config.bus_bytes
        size = -(-size // line) * line
        piece = size if size <= whole // 4 else whole // 8
        done = 0
        while done < size:
            at = (start + done) % whole
            length = min(piece, size - done, whole - at)
            self.load(Memory.WEIGHT, Place(self.constants_region, offset + done), at, length)
            done += length

    def _load_parameters(self, key: object, job: Job, block: tuple[int, int]) -> int:
        """Address of a block's parameters; those of the whole job are loaded at once when half the room holds them."""
        word = self.config.lane_groups * self.config.parameter_word_bytes
        last = len(job.weights)
        limit = self.config.parameter_bytes // 2
        if last * word <= limit:
            part = (0, last)
        elif (block[1] - block[0]) * word <= limit:
            part = block
        else:
            raise ConfigError(
                f"parameter_bytes must be at least {2 * (block[1] - block[0]) * word} for layer {job.name!r}, "
                f"not {self.config.parameter_bytes}"
            )
        full = ("parameters", key, part)
        start = self.parameters.find(full)
        if start is None:
            data = self._parameter_bytes(job, part)
            start = self.parameters.put(full, len(data))
            self.load_constants(Memory.PARAMETER, full, data, start)
        return start + (block[0] - part[0]) * word

    def _parameter_bytes(self, job: Job, part: tuple[int, int]) -> bytes:
        config = self.config
        lanes = config.lane_groups * config.post_lanes
        table = np.zeros((len(job.weights), lanes), parameter_dtype(config.bias_width))
        mul, shift = job.mul.astype(np.int64), job.shift.astype(np.int64)
        if config.dyadic:
            shift = shift - np.array([int(value).bit_length() - 1 for value in mul])
            mul = np.zeros_like(mul)
        words = np.zeros(len(mul), table.dtype)
        words["bias"] = job.bias.astype(table.dtype["bias"])  # wraps, as sums do
        words["mul_shift"] = mul | (shift & 0xFF) << 24
        for tile in range(len(job.weights)):
            mine = words[tile * config.columns : (tile + 1) * config.columns]
            table[tile, : len(mine)] = mine
        return table[part[0] : part[1]].tobytes()

    def _load_table(self, job: Job) -> None:
        if job.tail.table is None:
            return
        self.load_table(job.tail.table.astype(np.int8).tobytes())

    # Configuration and compute.

    def _configure(self, job: Job, tile: Tile, target: _Target) -> None:
        *inner, outer = job.columns
        levels = [*job.window, *inner, Level(tile.columns, outer.dy, outer.dx)]
        levels += [Level(1)] * (PIXEL_LEVELS - 1 - len(levels))
        fields: dict[str, int] = {}
        back_y = back_x = 0
        for number, level in enumerate([*levels, Level(tile.rows, job.rows.dy, job.rows.dx)]):
            last = number == PIXEL_LEVELS - 1
            fields |= {
                f"count{number}": 1 if last else level.count,
                f"dy{number}": level.dy - back_y if level.count > 1 else 0,
                f"dx{number}": level.dx - back_x if level.count > 1 else 0,
            }
            back_y, back_x = back_y + level.dy * (level.count - 1), back_x + level.dx * (level.count - 1)
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
        count = tile.columns * job.row_pixels // job.columns[-1].count
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

    def _config_taps(self, job: Job, tap: TapBlock, source: _Source) -> None:
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
            "pitch": source.pitch,
            "pad": job.pad,
            "wide": int(taps.element_bytes == 2),
        }
        self.configure(Operation.CONFIG_TAPS, fields)

    def _compute(
        self,
        job: Job,
        tile: Tile,
        source: _Source,
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
                "weight_base": constants[0] + (first - block[0]) * tap.depth * config.weight_word_bytes,
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
