"""From tiled jobs to instructions: what is loaded where and when, and the blocks that compute on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gatewright.errors import ConfigError
from gatewright.hdl.instruction import Memory, Opcode
from gatewright.ir.packing import packed_bytes
from gatewright.targets.array.assembler import Step
from gatewright.targets.array.config import settable_bytes
from gatewright.targets.array.memory_map import MemoryMap, Place
from gatewright.targets.array.operands import parameter_table
from gatewright.targets.array.placement import LayerPlan, Span
from gatewright.targets.array.tiling import Tile, tile_pixels
from gatewright.targets.array.writer import Ring, Source, Writer
from gatewright.targets.bitfusion.assembler import FusionStep
from gatewright.targets.bitfusion.bands import Band, band_bias, bands, has_own_bias, whole_band, with_last_apart
from gatewright.targets.bitfusion.blocks import (
    BLOCK_WORDS,
    FILTER_LOOP,
    FIRST,
    LAST,
    PIXEL_LOOPS,
    Operation,
    apply,
    carried,
    changes,
    initial_state,
    words_of,
)
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.fences import UnderWay
from gatewright.targets.bitfusion.fields import (
    Target,
    pixel_fields,
    post_fields,
    result_fields,
    row_pixels,
    tap_fields,
)
from gatewright.targets.bitfusion.isa import TOP, Fusion, Op
from gatewright.targets.bitfusion.job import FusionJob
from gatewright.targets.bitfusion.tiling import (
    WordBlock,
    band_words,
    choose_tiles,
    filter_blocks,
    overlapped_tiles,
    tile_output,
    word_blocks,
)
from gatewright.targets.bitfusion.timing import MOST_UNDER_WAY

__all__ = ["FusionEmitter"]

_LINE = 64
_BLOCK = 8192  # bytes of weights that are waited for at once, where there is a choice
_FREED = 8  # parts, about, in which weights are freed that leave no room for a second tile of them


@dataclass(frozen=True)
class _Turn:
    """One `compute` over a tile of filters: its pixels, words of taps, address of the first parameters, flags."""

    band: Band
    words: WordBlock
    parameters: int
    flags: int


class FusionEmitter(Writer):
    """Emits layer after layer; `steps` and `constants` are the result."""

    def __init__(self, config: FusionConfig, memory: MemoryMap, sizes: Callable[[str], int]) -> None:
        super().__init__(config.array(), memory, sizes)
        self.fusion = config
        self.state = initial_state()
        self._weights = Ring(config.wbuf_bytes, max(config.bus_bytes, _LINE), wrap=True)
        self._words: list[Fusion] = []
        self._fence: tuple[Step, int] | None = None  # where the last `block-end` is
        self._under_way = UnderWay(self.config)

    def layer(self, index: int, jobs: list[FusionJob], plan: LayerPlan) -> None:
        """Emit a layer; its last instruction records the cycle it completes at stamp `index`."""
        if index:
            self._words.append(Fusion(Op.BLOCK_END, 0, 0, MOST_UNDER_WAY))
            self._under_way.fence()
        self.loaded = dict.fromkeys(plan.load, 0)
        self._residual_loaded = not plan.load_residual
        stored = [self._job((index, number), job, plan) for number, job in enumerate(jobs)]
        output = jobs[0].shape.output.value
        if plan.to_memory and output in plan.output and not all(stored):
            self.transfer(
                Opcode.STORE, Memory.OUTPUT, self.memory[output], plan.output[output].start, self.sizes(output)
            )
        end = self.steps.pop()
        for value in plan.load:  # what no tile of this layer read: later layers find the value whole
            self.load_rest(Memory.ACTIVATION, value, plan.activation[value].start, self.sizes(value))
        end.fields |= {"stamp": 1, "stamp_index": index}
        self.steps.append(end)

    def _job(self, key: tuple[int, int], job: FusionJob, plan: LayerPlan) -> bool:
        """Emit a job; whether its results are stored as its tiles are done."""
        room = self.fusion.wbuf_bytes
        depth_bytes = job.weights[0].nbytes
        tiles = self._tiles(job, plan, few=self._few(job))
        columns = job.shape.columns[-1].count
        stores = self._stores_rows(job, plan) and all(tile.columns == columns for tile in tiles)
        for tile in tiles:
            short = tile_pixels(job.shape, tile) <= self.fusion.rows
            split = depth_bytes > room or (depth_bytes > room // 8 and short and not job.slots.share)
            target = self._tile(key, job, tile, plan, split=split)
            if stores:
                self._store_rows(job, tile, target)
        return stores

    def _tiles(self, job: FusionJob, plan: LayerPlan, *, few: bool) -> list[Tile]:
        shape = job.shape
        streamed = shape.image.value not in plan.activation
        staged = shape.output.value not in plan.activation and shape.output.value not in plan.output
        if not streamed and not staged and not few:
            loads = shape.image.value in plan.load
            return overlapped_tiles(job, self.fusion, loads=loads, stores=self._stores_rows(job, plan))
        stage = plan.stage.size // (shape.output_share * _LINE) * _LINE  # as `_stage` divides it
        return choose_tiles(job, plan.stream.size if streamed else 0, stage if staged else 0, self.fusion, few=few)

    def _few(self, job: FusionJob) -> bool:
        """Whether a tile is computed in several parts, so that its partial sums must stay in the array."""
        return job.weights[0].nbytes > self.fusion.wbuf_bytes or job.widths[1] > 8

    def _stores_rows(self, job: FusionJob, plan: LayerPlan) -> bool:
        """Whether whole rows of tiles are dense parts of an output that goes to memory from the output buffer."""
        out, shape = job.shape.output, job.shape
        dense = out.pixel_bytes == job.filter_bytes and out.row_bytes == shape.row_pixels * out.pixel_bytes
        whole_rows = dense and not self._few(job)
        return plan.to_memory and out.value in plan.output and whole_rows and out.value not in plan.activation

    # One tile.

    def _tile(self, key: tuple[int, int], job: FusionJob, tile: Tile, plan: LayerPlan, *, split: bool) -> Target:
        self.turn ^= 1
        size = self.fusion.wbuf_bytes
        room = size // 8 if tile_pixels(job.shape, tile) <= self.fusion.rows else size // 4
        parts = word_blocks(job, room if split else size)
        pieces = bands(job, tile, self.fusion) if len(parts) == 1 else (whole_band(job.shape, tile),)
        freeing = (
            len(parts) == 1 and 2 * job.weights[0].nbytes > size and with_last_apart(job, pieces, self.fusion.rows)
        )
        pieces = freeing or pieces
        blocks = filter_blocks(job, min(room, _BLOCK), self._parameter_tiles(job, pieces))
        if len(parts) > 1:
            blocks = [(tile, tile + 1) for tile in range(job.tiles.count)]
        weights = self._load_weights(key, job, blocks[0], parts[0])
        parameters = self._load_parameters(key, job, blocks[0], pieces)
        if job.shape.tail.table is not None:
            self.load_table(job.shape.tail.table.astype(np.int8).tobytes())
        source, target = self.source(job.shape, tile, plan), self._target(job, tile, plan)
        self._change(post_fields(job, tile, target, self.fusion.result_width))
        for number, block in enumerate(blocks):
            for place, part in enumerate(parts):
                if number or place:
                    weights = self._load_weights(key, job, block, part)
                    parameters = self._load_parameters(key, job, block, pieces)
                flags = FIRST * (place == 0) | LAST * (place == len(parts) - 1)
                turns = [
                    _Turn(band, band_words(job, band, part), start, flags)
                    for band, start in zip(pieces, parameters, strict=True)
                ]
                if freeing:
                    turns[-1:] = self._freeing(job, turns[-1])
                self._compute(job, turns, (source, target), (block, part), weights)
        if target.following is None and job.shape.output.value not in plan.output:
            self._move_tile(
                Opcode.STORE, job, tile, self._place_of(job.shape.output.value, job, tile), target.output or 0
            )
        return target

    @staticmethod
    def _freeing(job: FusionJob, turn: _Turn) -> list[_Turn]:
        """A tile of pixels in parts of its words: weights of the next tile of filters come as these are done with."""
        parts = word_blocks(job, job.weights[0].nbytes // _FREED)
        flags = [FIRST * (place == 0) | LAST * (place == len(parts) - 1) for place in range(len(parts))]
        return [replace(turn, words=part, flags=flag) for part, flag in zip(parts, flags, strict=True)]

    def _place_of(self, value: str, job: FusionJob, tile: Tile) -> Place:
        return self.memory[value].after(job.shape.place(tile))

    def _target(self, job: FusionJob, tile: Tile, plan: LayerPlan) -> Target:
        out, residual, offset = job.shape.output, job.shape.tail.residual, job.shape.place(tile)
        following, output = plan.activation.get(out.value), plan.output.get(out.value)
        if following is None and output is None:
            return self._stage(job, tile, plan.stage)
        at = plan.output[residual].start if residual else 0
        if residual and not self._residual_loaded:
            self.load(Memory.OUTPUT, self.memory[residual], at, self.sizes(residual))
            self._residual_loaded = True
        return Target(
            following.start + offset if following else None,
            output.start + offset if output else None,
            at + job.shape.at_residual(offset),
            out.pixel_bytes,
            out.row_bytes,
        )

    def _stage(self, job: FusionJob, tile: Tile, room: Span) -> Target:
        """A tile's place in the output buffer, in turn, dense; the residual operand's tile is loaded behind it."""
        residual = job.shape.tail.residual
        size = -(-tile_output(job, tile) // _LINE) * _LINE
        half = room.size // 2 // _LINE * _LINE
        base = room.start + (half if self.turn and size * job.shape.output_share <= half else 0)
        if residual:
            place = self.memory[residual].after(job.shape.at_residual(job.shape.place(tile)))
            self._move_tile(Opcode.LOAD, job, tile, place, base + size, job.shape.at_residual)
        return Target(None, base, base + size, job.filter_bytes, row_pixels(job, tile) * job.filter_bytes)

    def _move_tile(
        self,
        opcode: Opcode,
        job: FusionJob,
        tile: Tile,
        place: Place,
        scratch: int,
        scaled: Callable[[int], int] = lambda distance: distance,
    ) -> None:
        """Transfer a tile of the output, or of what lies like the output with `scaled` distances."""
        out = job.shape.output
        nest = ((row_pixels(job, tile), scaled(out.pixel_bytes)), (tile.rows, scaled(out.row_bytes)))
        self.transfer(opcode, Memory.OUTPUT, place, scratch, scaled(job.filter_bytes), *nest)

    def _store_rows(self, job: FusionJob, tile: Tile, target: Target) -> None:
        assert target.output is not None
        place = self._place_of(job.shape.output.value, job, tile)
        self.transfer(Opcode.STORE, Memory.OUTPUT, place, target.output, tile.rows * job.shape.output.row_bytes)

    # Constants.

    def _load_weights(self, key: object, job: FusionJob, block: tuple[int, int], part: WordBlock) -> int:
        """Address of the weights of some filter tiles and words, loaded unless they are there."""
        full = ("weights", key, block, part.start, part.count)
        found = self._weights.find(full)
        if found is not None:
            return found
        data = job.weights[block[0] : block[1], part.start : part.start + part.count].tobytes()
        if len(data) > self.fusion.wbuf_bytes:
            least, have = settable_bytes(len(data)), self.fusion.wbuf_bytes
            raise ConfigError(f"wbuf_bytes must be at least {least} for layer {job.shape.name!r}, not {have}")
        start = self._weights.put(full, len(data))
        self.load_around(self.pack(full, data), start, len(data), self.fusion.wbuf_bytes)
        return start

    def _parameter_tiles(self, job: FusionJob, pieces: Sequence[Band]) -> int:
        """Filter tiles whose parameters, for each of the bands, fit half their buffer; all of the job where they do."""
        sets = len({has_own_bias(job.shape, band) and (band.first, band.stop) for band in pieces})
        return max(1, min(job.tiles.count, self.config.parameter_bytes // 2 // (self._parameter_size(job) * sets)))

    def _parameter_size(self, job: FusionJob) -> int:
        """Bytes of a filter tile's parameters; at most 512 for each row."""
        return job.tiles.rows * self.config.lane_groups * self.config.parameter_word_bytes

    def _load_parameters(
        self, key: object, job: FusionJob, block: tuple[int, int], pieces: Sequence[Band]
    ) -> list[int]:
        """Address of a block's parameters for each band; those of all filters at once when half the room holds them."""
        tiles = job.tiles
        part = (0, tiles.count) if self._parameter_tiles(job, pieces) == tiles.count else block
        found = []
        for band in pieces:
            full = ("parameters", key, part, (band.first, band.stop) if has_own_bias(job.shape, band) else None)
            start = self.parameters.find(full)
            if start is None:
                shape = replace(job.shape, bias=band_bias(job.shape, band, self.config.columns))
                table = parameter_table(shape, self.config, tiles.count * tiles.rows, tiles.columns)
                data = table[part[0] * tiles.rows : part[1] * tiles.rows].tobytes()
                start = self.parameters.put(full, len(data))
                self.load_constants(Memory.PARAMETER, full, data, start)
            found.append(start + (block[0] - part[0]) * self._parameter_size(job))
        return found

    # Blocks.

    def _change(self, wanted: dict[str, int]) -> None:
        words = changes(self.state, wanted)
        for word in words:
            apply(self.state, word)
        self._words += words

    def _compute(
        self,
        job: FusionJob,
        turns: Sequence[_Turn],
        places: tuple[Source, Target],
        what: tuple[tuple[int, int], WordBlock],
        start: int,
    ) -> None:
        """`compute` over a block of filter tiles, or several: as tiles differ, and in turns.

        The weights of the block, and of the part of the words that all turns are of, are at `start`.
        """
        config, shape, (source, target), (block, part) = self.fusion, job.shape, places, what
        tiles = job.tiles
        together = [turn.band for turn in turns] == [whole_band(shape, turns[0].band.tile)]
        for first, stop in self._alike(job, block) if together else [(t, t + 1) for t in range(*block)]:
            for turn in turns:
                mine, tile = turn.words, turn.band.tile
                weights = (first - block[0]) * part.count + mine.start - part.start  # words before these
                x = shape.x0 + tile.column * shape.columns[-1].dx + mine.dx - source.x
                ends = stop == tiles.count
                fields = {
                    "ibuf_base": source.base % (1 << 20),
                    "origin_row": shape.y0 + tile.row * shape.rows.dy + mine.dy - source.y,
                    "origin": x + (shape.tile_x[first] if shape.tile_x is not None else 0),
                    "height": source.height,
                    "wbuf_base": (start + weights * job.word_weights) % config.wbuf_bytes,
                    f"count{FILTER_LOOP}": stop - first,
                    "last_columns": tiles.last_columns if ends else tiles.columns,
                    "parameter_base": turn.parameters + (first - block[0]) * self._parameter_size(job),
                }
                if tiles.rows > 1:
                    fields[f"count{PIXEL_LOOPS[0]}"] = tiles.last_rows if ends and stop - first == 1 else tiles.rows
                offset = first * tiles.rows * packed_bytes(tiles.columns, job.output_width)
                offset += (tile.row - turns[0].band.tile.row) * target.row_bytes
                fields |= result_fields(job, target, offset)
                self._change(pixel_fields(job, tile) | tap_fields(job, mine, source) | fields)
                self._run(turn.flags)

    @staticmethod
    def _alike(job: FusionJob, block: tuple[int, int]) -> list[tuple[int, int]]:
        """A block of filter tiles as ranges of tiles that one `compute` can do."""
        start, stop = block
        if job.shape.tile_x is not None:
            return [(tile, tile + 1) for tile in range(start, stop)]
        if stop == job.tiles.count and job.tiles.last_rows < job.tiles.rows and stop - start > 1:
            return [(start, stop - 1), (stop - 1, stop)]
        return [block]

    def _run(self, flags: int) -> None:
        """The words so far, then a `compute`, in as few instructions as they fit."""
        words, self._words = [*self._words, Fusion(Op.COMPUTE, 0, TOP, flags)], []
        first = len(words) % BLOCK_WORDS or BLOCK_WORDS
        cuts = [0, *range(first, len(words) + 1, BLOCK_WORDS)]
        for start, stop in pairwise(cuts):
            opcode = Operation.RUN if stop == len(words) else Operation.BLOCK
            self.steps.append(FusionStep(opcode, carried(words[start:stop])))
            ends = [place for place, word in enumerate(words[start:stop]) if word.op == Op.BLOCK_END]
            if ends:
                self._fence = self.steps[-1], ends[-1]
        self._leave(self._under_way.begins(self.state, flags))

    def _leave(self, tiles: int) -> None:
        """Let the last `block-end` leave no more tiles under way."""
        if self._fence:
            step, place = self._fence
            word = words_of(step.fields)[place]
            step.fields[f"word{place}"] = replace(word, immediate=min(word.immediate, tiles)).word()
