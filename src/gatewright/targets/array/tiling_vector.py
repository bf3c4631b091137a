"""How a pass of the vector unit is cut into tiles: small enough to overlap, large enough for long bursts.

Loading, computing and storing overlap from tile to tile, so a pass costs its longest part and, at its end, what the
last tile computes and stores after the last byte came in: the last tiles are smaller and smaller.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace

from gatewright.errors import ConfigError
from gatewright.hdl.burst import longest_burst
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.tiling import Extent, Tile
from gatewright.targets.array.vector_job import VectorJob, VectorPass

__all__ = [
    "Rooms",
    "choose_vector_tiles",
    "least_vector_room",
    "operand_bytes",
    "own_tile",
    "vector_extents",
    "vector_output",
]

_MOST_ROWS = 8191  # of a tile: y is a signed field of 14 bits
_TILES = 8  # of an image, about
_MOST_BEATS = 1024  # of a tile
_LAST_BEATS = 48  # of the last tile, about


@dataclass(frozen=True)
class Rooms:
    """Bytes that tiles of the operand a, of the result and of the operand b may take; None: they need no room."""

    stream: int | None
    stage: int | None
    operand: int | None


def vector_extents(pass_: VectorPass, tile: Tile) -> dict[tuple[str, int], Extent]:
    """The parts of the images that a tile reads, one for each (value, start)."""
    found: dict[tuple[str, int], Extent] = {}
    for job in pass_.jobs:
        key, part = (job.image.value, job.start), _extent(job, own_tile(pass_, job, tile))
        other = found.get(key)
        if other is not None and other.size:
            part = other if not part.size else _union(other, part)
        found[key] = part
    return found


def own_tile(pass_: VectorPass, job: VectorJob, tile: Tile) -> Tile:
    """A tile as one job of the pass takes it: all of its own columns where several jobs share the rows."""
    return tile if len(pass_.jobs) == 1 else replace(tile, column=0, column_stop=job.columns[-1].count)


def _union(a: Extent, b: Extent) -> Extent:
    return Extent(min(a.y, b.y), max(a.y_stop, b.y_stop), min(a.x, b.x), max(a.x_stop, b.x_stop))


def _extent(job: VectorJob, tile: Tile) -> Extent:
    image = job.image
    if job.gathers:
        return Extent(0, image.height, 0, image.row_bytes)
    *inner, outer = job.columns
    size = image.element_bytes
    y = job.y0 + tile.row * job.rows.dy
    x = job.x0 + tile.column * outer.dx
    y_stop = y + (tile.rows - 1) * job.rows.dy + 1 + sum((tap.count - 1) * tap.dy for tap in job.taps)
    x_stop = x + (tile.columns - 1) * outer.dx + size * (1 if job.repeat else job.elements)
    x_stop += sum((level.count - 1) * level.dx for level in (*inner, *job.taps))
    y, x = max(0, y), max(0, x)
    y_stop, x_stop = min(image.height, y_stop), min(image.row_bytes, x_stop)
    return Extent(y, y_stop, x, x_stop) if y < y_stop and x < x_stop else Extent(0, 0, 0, 0)


def _input(pass_: VectorPass, tile: Tile) -> int:
    return sum(part.size for part in vector_extents(pass_, tile).values())


def vector_output(pass_: VectorPass, tile: Tile) -> int:
    """Bytes of the result that a tile writes."""
    row = pass_.output.row_bytes
    columns = pass_.jobs[0].columns[-1].count
    return tile.rows * (row if tile.columns == columns else row // columns * tile.columns)


def operand_bytes(pass_: VectorPass, tile: Tile) -> int:
    """Bytes of the operand b that a tile reads, where each tile has its own."""
    job = pass_.jobs[0]
    if job.operand is None or not job.operand.dense:
        return 0
    assert job.operand.layout is not None
    return vector_output(pass_, tile) // job.output.element_bytes * job.operand.element_bytes


def _tile(pass_: VectorPass, rows: int, row: int = 0) -> Tile:
    return Tile(0, row, row + rows, 0, pass_.jobs[0].columns[-1].count)


def _worst(pass_: VectorPass, rows: int) -> tuple[int, int, int]:
    """Most bytes of input, result and operand b of a tile of so many rows."""
    starts = {0, min(rows, pass_.rows - rows), max(0, pass_.rows - rows)}
    tiles = [_tile(pass_, rows, start) for start in starts]
    return max(_input(pass_, tile) for tile in tiles), vector_output(pass_, tiles[0]), operand_bytes(pass_, tiles[0])


def least_vector_room(pass_: VectorPass, line: int) -> tuple[int, int]:
    """Least bytes of activations, and of outputs with the operand b beside them, that the smallest tile needs."""
    least_input, *outputs = _worst(pass_, 1)
    return least_input, sum(-(-size // line) * line for size in outputs)


def choose_vector_tiles(pass_: VectorPass, rooms: Rooms, moved: tuple[int, int], config: ArrayConfig) -> list[Tile]:
    """Tiles of all images, in order. `moved` are the bytes of an image that loads and stores move.

    Raises
    ------
    ConfigError
        If a row of the result does not fit the scratchpads.
    """
    most = _most_rows(pass_, rooms, 2) or _most_rows(pass_, rooms, 1)
    if not most:
        least_input, result, operand = _worst(pass_, 1)
        raise ConfigError(
            f"scratchpads are too small for one row of {pass_.jobs[0].name!r}: it needs {least_input} bytes of "
            f"activations and {result + operand} of output"
        )
    columns = pass_.jobs[0].columns[-1].count
    if not any(moved):
        parts = [(row, min(row + most, pass_.rows), 0, columns) for row in range(0, pass_.rows, most)]
    else:
        parts = _parts(pass_, min(most, _wanted_rows(pass_, moved, config)), moved, config)
    return [Tile(image, *part) for image in range(pass_.images) for part in parts]


def _most_rows(pass_: VectorPass, rooms: Rooms, share: int) -> int:
    """Most rows of a tile such that `share` of them fit."""

    def fits(rows: int) -> bool:
        needs = _worst(pass_, rows)
        return all(
            room is None or need <= room // share
            for need, room in zip(needs, (rooms.stream, rooms.stage, rooms.operand), strict=True)
        )

    most = min(pass_.rows, _MOST_ROWS)
    return bisect_left(range(1, most + 1), True, key=lambda rows: not fits(rows))


def _wanted_rows(pass_: VectorPass, moved: tuple[int, int], config: ArrayConfig) -> int:
    """Rows of about one `_TILES`th of the image in whole bursts of each operand, at most `_MOST_BEATS`.

    Where storing takes about as long as loading it lags behind by a tile, so that a tile is one burst of each.
    """
    burst = longest_burst(config.bus_bytes) * config.bus_bytes * _operands(pass_)
    longest = max(moved)
    most = burst if longest < 2 * min(moved) else _MOST_BEATS * config.bus_bytes
    size = max(burst, min(longest // _TILES, most) // burst * burst)
    return max(1, round(size * pass_.rows / longest))


def _operands(pass_: VectorPass) -> int:
    dense = pass_.jobs[0].operand is not None and pass_.jobs[0].operand.dense
    return len({(job.image.value, job.start) for job in pass_.jobs}) + dense


def _parts(
    pass_: VectorPass, rows: int, moved: tuple[int, int], config: ArrayConfig
) -> list[tuple[int, int, int, int]]:
    """Rows and columns of the tiles of an image: equal ones, then each half of what is left, then parts of a row."""
    columns, single = pass_.jobs[0].columns[-1].count, len(pass_.jobs) == 1
    last = max(1, _LAST_BEATS * config.bus_bytes * pass_.rows // max(moved))  # rows of the last tile
    parts, row = [], 0
    while row < pass_.rows:
        left = pass_.rows - row
        count = rows if left > rows else left if left <= last else -(-left // 2)
        count = min(count, rows)
        parts.append((row, row + count, 0, columns))
        row += count
    beats = max(moved) // config.bus_bytes // pass_.rows
    if single and parts[-1][1] - parts[-1][0] == 1 and beats > 2 * _LAST_BEATS and columns > 1:
        start, stop, *_ = parts.pop()
        step = -(-columns // min(columns, beats // _LAST_BEATS))
        parts += [(start, stop, at, min(at + step, columns)) for at in range(0, columns, step)]
    return parts
