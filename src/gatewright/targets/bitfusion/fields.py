"""Fields of the core's state for a tile: its pixels, the taps of each, what happens to results and where they go."""

from __future__ import annotations

from dataclasses import dataclass

from gatewright.ir.packing import packed_bytes
from gatewright.targets.array.isa import ROUNDING_CODES
from gatewright.targets.array.job import Level
from gatewright.targets.array.tiling import Tile
from gatewright.targets.array.writer import Source
from gatewright.targets.bitfusion.blocks import PIXEL_LOOPS, TAP_LOOPS
from gatewright.targets.bitfusion.isa import SIGNED
from gatewright.targets.bitfusion.job import FusionJob
from gatewright.targets.bitfusion.slots import arranged
from gatewright.targets.bitfusion.tiling import WordBlock

__all__ = ["Target", "pixel_fields", "post_fields", "result_fields", "row_pixels", "tap_fields"]


@dataclass(frozen=True)
class Target:
    """Where the post unit writes a tile: absolute addresses of its first byte, and the strides."""

    following: int | None
    output: int | None
    residual: int
    pixel_bytes: int
    row_bytes: int


def row_pixels(job: FusionJob, tile: Tile) -> int:
    """Pixels that a row of a tile writes."""
    return tile.columns * job.shape.column_pixels


def pixel_fields(job: FusionJob, tile: Tile) -> dict[str, int]:
    """The pixels of a tile."""
    shape = job.shape
    *inner, outer = shape.columns
    slots = job.slots
    fields = {"rows": slots.rows, "share": slots.share}
    if job.tiles.rows > 1:  # all rows work on one pixel
        fields |= {f"count{loop}": 1 for loop in PIXEL_LOOPS[1:]}
        return fields | {f"dy{PIXEL_LOOPS[0]}": 0, f"dx{PIXEL_LOOPS[0]}": 0}
    levels = [*shape.window, *inner, Level(tile.columns, outer.dy, outer.dx)]
    if slots.share:
        line, adjacent, rest = arranged(levels, slots.lines)
        each = slots.rows // slots.lines
        tiles = -(-adjacent.count // each)
        fields["last_rows"] = (adjacent.count - (tiles - 1) * each) * slots.lines
        levels = [line, Level(tiles, 0, each * slots.share), *rest]
    levels += [Level(1)] * (len(PIXEL_LOOPS) - 1 - len(levels))
    levels.append(Level(tile.rows, shape.rows.dy, shape.rows.dx))
    for loop, level in zip(PIXEL_LOOPS, levels, strict=True):
        fields[f"count{loop}"] = level.count
        if level.count > 1:
            fields |= {f"dy{loop}": level.dy, f"dx{loop}": level.dx}
    return fields


def post_fields(job: FusionJob, tile: Tile, target: Target, result_width: int) -> dict[str, int]:
    """What happens to sums, and how results follow each other."""
    tail, tiles = job.shape.tail, job.tiles
    row_bytes = packed_bytes(tiles.columns, job.output_width)
    split = tiles.rows > 1
    count, step = (tiles.rows, row_bytes) if split else (row_pixels(job, tile), target.pixel_bytes)
    limit = 1 << min(result_width, 31)
    fields = {
        "output": job.output_width | SIGNED,
        "rounding": ROUNDING_CODES[tail.rounding],
        "zero": tail.zero,
        "low": max(tail.low, -limit),
        "high": min(tail.high, limit - 1),
        "negative_shift": tail.negative_shift,
        "add": int(tail.residual is not None),
        "table": int(tail.table is not None),
        "pool_count": job.shape.pool_count,
        "to_next": int(target.following is not None),
        "to_obuf": int(target.output is not None),
        "out_count": count,
        "out_step": step,
        "out_delta": 0 if split else target.row_bytes - (count - 1) * step,
        "filter_step": tiles.rows * row_bytes,
        "tile_columns": tiles.columns,
        "split": int(split),
        "result_size": max(job.output_width // 8, 1).bit_length() - 1,
    }
    if tail.residual is not None:
        names = ("mul_a", "mul_b", "add_shift", "add_zero")
        fields |= {name: getattr(tail, name) for name in names} | {"residual": job.residual_width | SIGNED}
        fields |= _add_bias(tail.add_bias, result_width)
        fields |= {"add_low": max(tail.add_low, -limit), "add_high": min(tail.add_high, limit - 1)}
    return fields


def _add_bias(bias: int, result_width: int) -> dict[str, int]:
    """In two registers where operands of 16 bits make it wider than a register."""
    if result_width == 8:
        return {"add_bias": bias}
    low = bias & 0xFFFFFFFF
    return {"add_bias": low - (low >> 31 << 32), "add_bias_high": bias >> 32}


def tap_fields(job: FusionJob, part: WordBlock, source: Source) -> dict[str, int]:
    """The words of taps of a pixel, and how operands are read."""
    taps, slots = job.shape.taps, job.slots
    word, run, row = TAP_LOOPS
    fields = {f"count{word}": part.words, f"count{run}": part.segments, f"count{row}": part.rows}
    if part.words > 1:
        fields[f"dx{word}"] = slots.word_bytes
    if part.segments > 1:
        fields[f"dx{run}"] = taps.segment_step
    if part.rows > 1:
        fields[f"dy{row}"] = taps.row_step
    return fields | {
        "input": job.widths[0] | SIGNED,
        "weight": min(job.widths[1], 8) | SIGNED * (job.weights_signed and (job.widths[1] <= 8 or part.high)),
        "weight_high": int(part.high),
        "slot": slots.steps,
        "pad": job.pad,
        "row_bytes": source.row_bytes,
        "pitch": source.row_bytes,
    }


def result_fields(job: FusionJob, target: Target, offset: int) -> dict[str, int]:
    """Where results go, `offset` bytes behind the tile's first."""
    fields = {}
    if target.following is not None:
        fields["next_base"] = target.following + offset
    if target.output is not None:
        fields["obuf_base"] = target.output + offset
    if job.shape.tail.residual:
        fields["residual_base"] = target.residual + job.shape.at_residual(offset)
    return fields
