"""Shape of the array for one network: rows, columns, tap word and lanes of least time within the budget.

The time of each layer is the greater of the array's, by its closed form, and the bus's, which brings weights and
whatever does not stay on chip. All shapes are compared at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gatewright import ir
from gatewright.errors import ConfigError
from gatewright.ir import Graph
from gatewright.passes import Layer, aliases
from gatewright.targets.array.config import LANES_OF_A_PARAMETER_WORD
from gatewright.targets.array.job import element_bytes
from gatewright.targets.array.timing import drain_distance
from gatewright.targets.generated.config import GeneratedConfig

__all__ = ["BUS_EFFICIENCY", "Shapes", "Work", "choose_shape", "layer_times", "work_of"]

BUS_EFFICIENCY = 0.75
"""Share of the bus's cycles that carry data."""

_TOLERANCE = 1.005  # time that a smaller machine may cost
_FINALISTS = 400  # shapes whose lanes are chosen
_MOST = 64  # rows, columns, elements of a tap word


@dataclass(frozen=True)
class Work:
    """One layer as the closed form sees it: `pixels` x `filters` sums over runs of consecutive elements.

    `runs` are the ways to read a pixel's taps: (how many runs, elements of each, plus this many times the channels that
    a tile of filters reads). Of `groups` groups of filters, each of `group_filters`, each reads `group_channels`.
    """

    pixels: int
    filters: int
    runs: tuple[tuple[int, int, int], ...]
    group_filters: int = 1
    group_channels: int = 1
    groups: int = 1
    weighted: bool = True
    image_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


@dataclass(frozen=True)
class Shapes:
    """Candidates, one an index: whole numbers, all of one length."""

    rows: np.ndarray
    columns: np.ndarray
    word_length: np.ndarray
    lanes: np.ndarray

    def __getitem__(self, index: np.ndarray) -> Shapes:
        return Shapes(self.rows[index], self.columns[index], self.word_length[index], self.lanes[index])


def choose_shape(graph: Graph, wish: GeneratedConfig, layers: Sequence[Layer], *, convolves: bool) -> GeneratedConfig:
    """Rows, columns, tap word and lanes: of all shapes within half a percent of the best time, the smallest.

    `layers` are the array's; when the vector unit `convolves`, its lanes are part of the budget.
    """
    works = [work_of(graph, layer, wish) for layer in layers]
    shapes = _candidates(wish, max(wish.multipliers - wish.vector_lanes, 1) if convolves else wish.multipliers)
    shapes = _that_feed(shapes, wish)
    times = _network_times(works, shapes, wish)
    finalists = np.argsort(times, kind="stable")[:_FINALISTS]
    shapes = _that_feed(_with_lanes(shapes[finalists], wish), wish)
    times = _network_times(works, shapes, wish)
    near = np.flatnonzero(times <= times.min() * _TOLERANCE)
    cost = shapes.rows * shapes.columns + shapes.lanes * (1 + (wish.multiplier_width > 0) + 2 * wish.residual)
    best = min(near.tolist(), key=lambda i: (int(cost[i]), float(times[i]), int(shapes.word_length[i])))
    return replace(
        wish,
        rows=int(shapes.rows[best]),
        columns=int(shapes.columns[best]),
        feed_words=int(shapes.word_length[best]),
        post_lanes=int(shapes.lanes[best]),
        vector_lanes=min(wish.vector_lanes, LANES_OF_A_PARAMETER_WORD * int(shapes.lanes[best])),
    )


def _that_feed(shapes: Shapes, wish: GeneratedConfig) -> Shapes:
    """Shapes whose lanes the vector unit can read its parameters with; all of them where none can."""
    enough = np.flatnonzero(LANES_OF_A_PARAMETER_WORD * shapes.lanes >= wish.vector_lanes)
    return shapes[enough] if enough.size else shapes


def _candidates(wish: GeneratedConfig, multipliers: int) -> Shapes:
    """Every shape that budget and wish allow, with as many lanes as it can have."""
    found = []
    for rows in [wish.rows] if wish.rows else range(1, min(multipliers, _MOST) + 1):
        most = min(multipliers // rows, _MOST)
        columns = np.array([n for n in ([wish.columns] if wish.columns else range(1, most + 1)) if n <= most])
        lengths = np.array([wish.feed_words] if wish.feed_words else range(rows, min(2 * rows, _MOST) + 1))
        if columns.size and lengths.min() >= rows:
            grid = np.meshgrid(columns, lengths, indexing="ij")
            found.append(np.stack([np.full(grid[0].size, rows), grid[0].ravel(), grid[1].ravel()]))
    if not found:
        wanted = f"rows = {wish.rows}, columns = {wish.columns}, feed_words = {wish.feed_words}"
        raise ConfigError(
            f"rows x columns must be at most multipliers = {wish.multipliers} (64 each), and feed_words at least rows, "
            f"not {wanted}"
        )
    shapes = np.concatenate(found, axis=1)
    most_lanes = _power_of_two_at_least(shapes[1])
    lanes = np.minimum(most_lanes, wish.post_lanes) if wish.post_lanes else most_lanes
    return Shapes(shapes[0], shapes[1], shapes[2], lanes)


def _with_lanes(shapes: Shapes, wish: GeneratedConfig) -> Shapes:
    """Each shape with every number of lanes it can have."""
    if wish.post_lanes:
        return shapes
    parts = []
    for lanes in (1, 2, 4, 8, 16, 32, 64):
        part = shapes[np.flatnonzero(shapes.lanes >= lanes)]
        parts.append(replace(part, lanes=np.full(len(part.rows), lanes)))
    names = ("rows", "columns", "word_length", "lanes")
    return Shapes(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _network_times(works: list[Work], shapes: Shapes, wish: GeneratedConfig) -> np.ndarray:
    return sum((layer_times(work, shapes, wish) for work in works), _start_times(works, shapes, wish))


def _start_times(works: list[Work], shapes: Shapes, wish: GeneratedConfig) -> np.ndarray:
    """Cycles before the first layer can start: a tile of its pixels, a third of the weights of a tile of filters."""
    if not works:
        return np.zeros(len(shapes.rows))
    work = works[0]
    weights = _tile_bytes(work, shapes, wish) / 3
    return (weights + shapes.rows * work.image_bytes / work.pixels) / (wish.bus_bits // 8 * BUS_EFFICIENCY)


def layer_times(work: Work, shapes: Shapes, wish: GeneratedConfig) -> np.ndarray:
    """Cycles of a layer on each shape."""
    depth = _depth(work, shapes)
    tiles = -(-work.filters // shapes.columns)
    drain = drain_distance(shapes.rows, shapes.columns, -(-shapes.columns // shapes.lanes))
    array = -(-work.pixels // shapes.rows) * tiles * np.maximum(depth, drain)
    tile = _tile_bytes(work, shapes, wish)
    room = wish.weight_bytes or max(wish.memory_bytes // 4, 1024)
    again = np.where(tiles * tile > room, max(1, -(-work.image_bytes // _share(wish))), 1)
    rate = wish.bus_bits // 8 * BUS_EFFICIENCY
    # Weights that find no room beside those of the filter tile before, which several tiles of pixels use, wait.
    waiting = np.clip(2 * tile - room, 0, tile) * (tiles * again - 1) * (work.pixels > shapes.rows)
    bus = np.maximum(tiles * tile * again + work.read_bytes, work.written_bytes) / rate
    return np.maximum(array + waiting / rate, bus) + drain


def _tile_bytes(work: Work, shapes: Shapes, wish: GeneratedConfig) -> np.ndarray:
    """Bytes of the weights of a tile of filters."""
    weight_bytes = 1 if wish.weight_width <= 8 else 2
    return _depth(work, shapes) * _power_of_two_at_least(shapes.columns * weight_bytes) * work.weighted


def _depth(work: Work, shapes: Shapes) -> np.ndarray:
    """Steps of a tile of pixels, in the cheapest way to read its taps."""
    spanned = np.minimum(-(-shapes.columns // work.group_filters), work.groups) * work.group_channels
    word = shapes.word_length
    ways = [count * (-(-(fixed + spans * spanned) // word) * word) for count, fixed, spans in work.runs]
    return np.minimum.reduce(ways)


def _power_of_two_at_least(values: np.ndarray) -> np.ndarray:
    return 1 << np.ceil(np.log2(values)).astype(int)


def _share(wish: GeneratedConfig) -> int:
    """Bytes of an image that may stay on chip, about."""
    return max(wish.activation_bytes or wish.memory_bytes // 4, 1)


def work_of(graph: Graph, layer: Layer, wish: GeneratedConfig) -> Work:
    """The work of a layer of the array."""
    node = layer.main
    op = node.op
    *outer, channels = node.type.shape
    image = _bytes(graph, node.inputs[0])
    read, written = _moved(graph, layer, wish)
    pixels = int(np.prod(outer))
    if isinstance(op, ir.MatMul):
        runs = ((1, graph.type_of(node.inputs[1]).shape[1], 0),)
        return Work(pixels, channels, runs, image_bytes=image, read_bytes=read, written_bytes=written)
    if isinstance(op, ir.Conv2d):
        filters, height, width, group_channels = graph.type_of(node.inputs[1]).shape
        row = (height, (width - 1) * group_channels * op.groups, 1)
        tap = (height * width, 0, 1)
        ways = (row, tap) if op.dilations[1] == 1 else (tap,)
        groups = (filters // op.groups, group_channels, op.groups)
        return Work(pixels, channels, ways, *groups, image_bytes=image, read_bytes=read, written_bytes=written)
    taps = op.kernel[0] * op.kernel[1] if isinstance(op, ir.AveragePool | ir.MaxPool) else 1
    moves = (taps, 0, 1) if isinstance(op, ir.AveragePool) else (1, 0, 1)
    pixels *= taps if isinstance(op, ir.MaxPool) else 1
    return Work(
        pixels,
        channels,
        (moves,),
        groups=channels,
        weighted=False,
        image_bytes=image,
        read_bytes=read,
        written_bytes=written,
    )


def _bytes(graph: Graph, name: str) -> int:
    type = graph.type_of(name)
    return type.size * element_bytes(type.dtype)


def _moved(graph: Graph, layer: Layer, wish: GeneratedConfig) -> tuple[int, int]:
    """Bytes of activations that the bus brings, and takes away: of the network's ends, and of what does not fit."""
    roots = aliases(graph)
    given = {value.name for value in graph.inputs}
    taken = {roots.get(name, name) for name in graph.outputs}
    share = _share(wish)
    read = [name for name in layer.inputs if roots.get(name, name) in given or _bytes(graph, name) > share]
    written = _bytes(graph, layer.output)
    return sum(_bytes(graph, name) for name in read), written if layer.output in taken or written > share else 0
