"""From pools, element-wise operators and data movement to jobs that pass activations through the array unchanged.

The array multiplies with an identity block, so that whatever the feed can address and the post unit can write is a
move, and the post unit's adders, clips, tables and maxima are element-wise operators.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatewright.ir import (
    Concat,
    Graph,
    MaxPool,
    Node,
    Pad,
    Slice,
    Transpose,
    Upsample,
)
from gatewright.passes import Layer
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.job import Image, Job, Level, Output, Tail, Taps, as_image, element_bytes
from gatewright.targets.array.map_mac import (
    Behind,
    dense_image,
    dense_output,
    filter_tiles,
    identity_tiles,
    per_filter,
    read_tail,
)

__all__ = ["map_concat", "map_elementwise", "map_max_pool", "map_pad", "map_slice", "map_transpose", "map_upsample"]


def _pass_through(
    config: ArrayConfig,
    name: str,
    image: Image,
    origin: tuple[int, int],
    columns: tuple[Level, ...],
    rows: Level,
    output: Output,
    filters: int,
    *,
    tile_x: tuple[int, ...] | None = None,
    pad: int = 0,
    window: tuple[Level, ...] = (),
) -> Job:
    """A job of `filters` elements a pixel through identity weights; bias 0, multiplier 1, shift 0."""
    tiles = -(-filters // config.columns)
    taps = Taps(min(config.columns, filters) * image.element_bytes, element_bytes=image.element_bytes)
    return Job(
        name=name,
        image=image,
        y0=origin[0],
        x0=origin[1],
        window=window,
        columns=columns,
        rows=rows,
        taps=taps,
        weights=identity_tiles(tiles, config)[:, : taps.depth(config.word_length)],
        bias=np.zeros(filters, np.int64),
        mul=np.ones(filters, np.int64),
        shift=np.zeros(filters, np.int64),
        pad=pad,
        tail=Tail(),
        output=output,
        tile_x=tile_x,
    )


def _tile_starts(count: int, size: int, config: ArrayConfig) -> tuple[int, ...]:
    """Where each tile of `columns` of so many elements of `size` bytes begins."""
    return tuple(range(0, count * size, config.columns * size))


def _copy(
    config: ArrayConfig,
    name: str,
    image: Image,
    origin: tuple[int, int],
    run: int,
    columns: Level,
    rows: Level,
    output: Output,
    pad: int = 0,
) -> list[Job]:
    """Copy a run of elements at each (row, column) point: whole blocks of `columns` elements, then the rest."""
    block, size = config.columns, image.element_bytes
    whole, rest = run // block, run % block
    block_out = block * output.element_bytes
    jobs = []
    if whole and (output.pixel_bytes == whole * block_out or columns.count == 1):
        levels = (Level(whole, dx=block * size), columns)
        out = replace(output, pixel_bytes=block_out)
        jobs.append(_pass_through(config, name, image, origin, levels, rows, out, block, pad=pad))
    elif whole:
        starts = _tile_starts(whole * block, size, config)
        jobs.append(
            _pass_through(config, name, image, origin, (columns,), rows, output, whole * block, tile_x=starts, pad=pad)
        )
    if rest:
        shifted = (origin[0], origin[1] + whole * block * size)
        out = replace(output, offset=output.offset + whole * block_out)
        jobs.append(_pass_through(config, name, image, shifted, (columns,), rows, out, rest, pad=pad))
    return jobs


def _flat(config: ArrayConfig, size: int) -> list[tuple[int, int, int]]:
    """A run of `size` elements as (offset, rows, elements of a row): one block of equal rows, then what is left."""
    row = min(size, config.columns * 64)
    rows, rest = divmod(size, row)
    return [(0, rows, row), *([(rows * row, 1, rest)] if rest else [])]


def map_elementwise(graph: Graph, layer: Layer, config: ArrayConfig) -> list[Job]:
    """Requantise, Add, Clip or Lut (with fused tail) over all elements, whatever their shape."""
    node = layer.nodes[0]
    source = node.inputs[0]
    behind = read_tail(graph, layer.nodes, source)
    x = graph.type_of(source)
    if behind.mul.size > 1 or behind.shift.size > 1:
        return _per_channel(graph, layer, config, behind)
    jobs = []
    size, out = (element_bytes(graph.type_of(name).dtype) for name in (source, layer.output))
    for offset, rows, row in _flat(config, x.size):
        image = Image(source, 1, rows, row * size, size) if offset == 0 else Image(source, 1, 1, x.size * size, size)
        output = Output(layer.output, x.size * out, row * out, row * out, offset * out, out)
        jobs += _copy(config, node.name, image, (0, offset * size), row, Level(1), Level(rows, dy=1), output)
    return [_followed(job, behind) for job in jobs]


def _followed(job: Job, behind: Behind) -> Job:
    """The job with what follows its sums."""
    mul, shift = per_filter(behind.mul, job.filters), per_filter(behind.shift, job.filters)
    return replace(job, bias=np.full(job.filters, behind.bias, np.int64), mul=mul, shift=shift, tail=behind.tail)


def _per_channel(graph: Graph, layer: Layer, config: ArrayConfig, behind: Behind) -> list[Job]:
    """A requantisation with a multiplier for each channel: one filter tile after the other."""
    source = layer.nodes[0].inputs[0]
    x = graph.type_of(source)
    channels = x.shape[-1]
    pixels = x.size // channels
    size, out = (element_bytes(graph.type_of(name).dtype) for name in (source, layer.output))
    image = Image(source, 1, pixels, channels * size, size)
    output = Output(layer.output, x.size * out, channels * out, channels * out, element_bytes=out)
    starts = _tile_starts(channels, size, config)
    rows = Level(pixels, dy=1)
    job = _pass_through(config, layer.name, image, (0, 0), (Level(1),), rows, output, channels, tile_x=starts)
    return [_followed(job, behind)]


def map_max_pool(graph: Graph, layer: Layer, config: ArrayConfig) -> list[Job]:
    """A maximum over any windows: each window's pixels one after the other, `columns` channels at a time."""
    node = layer.nodes[0]
    op = node.op
    assert isinstance(op, MaxPool)
    x = graph.type_of(node.inputs[0])
    image = dense_image(graph, node.inputs[0])
    channels = x.shape[3]
    pixel = channels * image.element_bytes
    stride_y, stride_x = op.strides
    job = _pass_through(
        config,
        layer.name,
        image,
        (-op.pads[0], -op.pads[1] * pixel),
        (Level(node.type.shape[2], dx=stride_x * pixel),),
        Level(node.type.shape[1], dy=stride_y),
        dense_output(graph, layer.output),
        channels,
        tile_x=_tile_starts(channels, image.element_bytes, config),
        pad=x.dtype.min,
        window=(Level(op.kernel[1], dx=pixel), Level(op.kernel[0], dy=1)),
    )
    return [_followed(job, read_tail(graph, layer.nodes[1:], node.name))]


def map_concat(graph: Graph, layer: Layer, config: ArrayConfig) -> list[Job]:
    """Each operand is copied to its place; a point is one index of the axes before the concatenated one."""
    node = layer.nodes[0]
    op = node.op
    assert isinstance(op, Concat)
    outer = int(np.prod(node.type.shape[: op.axis]))
    size = element_bytes(node.type.dtype)
    total = node.type.size // outer * size
    jobs, offset = [], 0
    for name in node.inputs:
        run = graph.type_of(name).size // outer
        output = Output(layer.output, total * outer, total, total, offset, size)
        jobs += _runs(config, layer.name, name, (outer, run), output)
        offset += run * size
    return jobs


def _runs(config: ArrayConfig, name: str, value: str, shape: tuple[int, int], output: Output) -> list[Job]:
    """Copy `shape[0]` runs of `shape[1]` elements; a single long run is cut into rows so that it can be tiled."""
    outer, run = shape
    size = output.element_bytes
    if outer > 1:
        image = Image(value, 1, outer, run * size, size)
        return _copy(config, name, image, (0, 0), run, Level(1), Level(outer, dy=1), output)
    jobs = []
    for offset, rows, row in _flat(config, run):
        image = Image(value, 1, rows, row * size, size) if offset == 0 else Image(value, 1, 1, run * size, size)
        place = replace(output, row_bytes=row * size, pixel_bytes=row * size, offset=output.offset + offset * size)
        jobs += _copy(config, name, image, (0, offset * size), row, Level(1), Level(rows, dy=1), place)
    return jobs


def map_slice(graph: Graph, layer: Layer, config: ArrayConfig) -> list[Job]:
    """A regular part of [N, H, W, C] (or fewer axes); channels without gaps."""
    op = layer.nodes[0].op
    assert isinstance(op, Slice)
    x = graph.type_of(layer.nodes[0].inputs[0])
    shape, size = as_image(x.shape), element_bytes(x.dtype)
    starts, steps = as_image(op.starts, 0), as_image(op.steps)
    out = as_image(layer.nodes[0].type.shape)
    _, height, width, channels = shape
    jobs = []
    for index in range(out[0]):
        # one job for each image: batches are cut at compile time
        first = (starts[0] + index * steps[0]) * height
        image = Image(layer.nodes[0].inputs[0], 1, shape[0] * height, width * channels * size, size)
        output = _output_of_image(layer.output, out, index, size)
        origin = (first + starts[1], (starts[2] * channels + starts[3]) * size)
        columns = Level(out[2], dx=steps[2] * channels * size)
        jobs += _copy(config, layer.name, image, origin, out[3], columns, Level(out[1], dy=steps[1]), output)
    return jobs


def _output_of_image(value: str, shape: tuple[int, ...], index: int, size: int) -> Output:
    """The layout of image `index` of a dense [N, H, W, C] of elements of `size` bytes."""
    _, height, width, channels = shape
    pixel = channels * size
    image = height * width * pixel
    return Output(value, image, width * pixel, pixel, index * image, size)


def map_pad(graph: Graph, layer: Layer, config: ArrayConfig) -> list[Job]:
    """A border in H and W: the feed inserts it."""
    op = layer.nodes[0].op
    assert isinstance(op, Pad)
    image = dense_image(graph, layer.nodes[0].inputs[0])
    _, out_height, out_width, channels = layer.nodes[0].type.shape
    pixel = channels * image.element_bytes
    return _copy(
        config,
        layer.name,
        image,
        (-op.pads[1][0], -op.pads[2][0] * pixel),
        channels,
        Level(out_width, dx=pixel),
        Level(out_height, dy=1),
        dense_output(graph, layer.output),
        pad=op.value,
    )


def map_upsample(graph: Graph, layer: Layer, config: ArrayConfig) -> list[Job]:
    """Each pixel `fw` times, each row `fh` times: one job for each repetition of the rows."""
    op = layer.nodes[0].op
    assert isinstance(op, Upsample)
    _, height, width, channels = graph.type_of(layer.nodes[0].inputs[0]).shape
    image = dense_image(graph, layer.nodes[0].inputs[0])
    dense = dense_output(graph, layer.output)
    jobs = []
    for repeat in range(op.factors[0]):
        output = replace(dense, row_bytes=dense.row_bytes * op.factors[0], offset=repeat * dense.row_bytes)
        jobs.append(
            _pass_through(
                config,
                layer.name,
                image,
                (0, 0),
                (Level(op.factors[1]), Level(width, dx=channels * image.element_bytes)),
                Level(height, dy=1),
                output,
                channels,
                tile_x=_tile_starts(channels, image.element_bytes, config),
            )
        )
    return jobs


def map_transpose(graph: Graph, layer: Layer, config: ArrayConfig) -> list[Job]:
    """Any order of up to four axes: the elements of a filter tile are gathered by one tap each.

    One image (index of a leading axis that stays in place) must fit the activation scratchpad.
    """
    node: Node = layer.nodes[0]
    op = node.op
    assert isinstance(op, Transpose)
    shape, unit = graph.type_of(node.inputs[0]).shape, element_bytes(node.type.dtype)
    strides = [int(np.prod(shape[axis + 1 :])) * unit for axis in range(len(shape))]
    axes = list(op.permutation)
    batch = shape[0] if axes[0] == 0 and len(axes) > 1 else 1
    inner = axes[1:] if batch > 1 or axes[0] == 0 else axes
    *outer, last = inner
    count = shape[last]
    levels = [Level(shape[axis], dx=strides[axis]) for axis in reversed(outer)]
    size = node.type.size // batch * unit
    taps = Taps(unit, min(config.columns, count), strides[last], element_bytes=unit)
    weights = np.zeros((config.columns, taps.depth(config.word_length)), np.int16)
    weights[np.arange(taps.segments), np.arange(taps.segments) * config.word_length] = 1
    tiles = -(-count // config.columns)
    job = _pass_through(
        config,
        layer.name,
        Image(node.inputs[0], batch, 1, size, unit),
        (0, 0),
        (Level(1),),
        Level(1),
        Output(layer.output, size, size, count * unit, element_bytes=unit),
        count,
        tile_x=tuple(start * strides[last] for start in range(0, count, config.columns)),
    )
    columns = tuple(levels) or (Level(1),)
    return [
        replace(
            job, columns=columns, taps=taps, weights=np.repeat(filter_tiles(weights, config), tiles, 0), tileable=False
        )
    ]
