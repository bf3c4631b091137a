"""`gatewright bitfusion`: schedules one convolution for an array of fusion units, and runs what it scheduled."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from gatewright import ir
from gatewright.compile import load
from gatewright.errors import ConfigError, GraphError
from gatewright.inputs import read_inputs
from gatewright.targets.bitfusion.conv import (
    Buffers,
    Convolution,
    Quantisation,
    Schedule,
    closed_form,
    quantise,
    schedule,
)
from gatewright.targets.bitfusion.interpreter import interpret
from gatewright.targets.bitfusion.isa import format_text
from gatewright.targets.bitfusion.listing import format_listing, parse_listing

__all__ = ["conv_command", "simulate_command"]

_BRIGHTEST = 255  # of an 8-bit image
_KERNEL = {"truncate": 127, "saturate": 63}  # a kernel that nobody gave


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def _parser() -> _Parser:
    """Options of one value or several, in the order of an earlier tool's."""
    parser = _Parser(prog="gatewright bitfusion conv", description="Schedule one convolution and say what it takes.")
    parser.add_argument(
        "--input_image_shape",
        type=int,
        nargs="+",
        metavar="N",
        help="count rows columns (grey), or N C H W; default 10 28 28",
    )
    parser.add_argument(
        "--kernel_shape", type=int, nargs="+", metavar="N", help="count rows columns, or filters C R S; default 3 3 3"
    )
    parser.add_argument("--padding", type=int, help="border of zeros; default 0")
    parser.add_argument("--stride", type=int, help="default 1")
    parser.add_argument(
        "--bitfusion_dim", type=int, nargs=2, default=(16, 16), metavar="N", help="rows columns; default 16 16"
    )
    for name, size, of in (("ibuf", 128, "unit"), ("wbuf", 128, "unit"), ("obuf", 1024, "column")):
        parser.add_argument(f"--{name}_size", type=int, default=size, metavar="N", help=f"bytes a {of}; default {size}")
    parser.add_argument("--input_quant", type=int, default=8, metavar="BITS", help="2, 4, 6 or 8; default 8")
    parser.add_argument("--weight_quant", type=int, default=8, metavar="BITS", help="2, 4, 6 or 8; default 8")
    parser.add_argument(
        "--quantize", choices=tuple(_KERNEL), help="reading of 8-bit values; default truncate (--from: saturate)"
    )
    parser.add_argument("--mapping", choices=("seed", "fused"), default="seed", help="default seed")
    parser.add_argument("--image", type=Path, metavar="X.npy", help="values of the image, 8 bits; default 255")
    parser.add_argument("--kernel", type=Path, metavar="W.npy", help="values of the kernel, 8 bits; default 127 or 63")
    parser.add_argument(
        "--from", dest="model", type=Path, metavar="MODEL", help="take shapes and kernel from a network"
    )
    parser.add_argument("--layer", metavar="NAME", help="the layer of MODEL")
    parser.add_argument("--simulate", action="store_true", help="run the instructions; print input, kernel and output")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write instructions and data")
    return parser


def conv_command(arguments: Sequence[str]) -> Iterator[str]:
    """Lines to print."""
    given = _parser().parse_args(list(arguments))
    problem = _problem(given)
    made = schedule(
        problem, given.mapping, given.bitfusion_dim, Buffers(given.ibuf_size, given.wbuf_size, given.obuf_size)
    )
    if given.output is not None:
        given.output.write_text(format_listing(made))
    yield format_text(made.block).rstrip("\n")
    yield from closed_form(problem, given.mapping, given.bitfusion_dim).lines()
    if given.simulate:
        yield from _simulation(made)


def simulate_command(file: Path) -> Iterator[str]:
    """Lines to print: what running the instructions of a file takes and gives."""
    made = parse_listing(file.read_text())
    outputs, usage = interpret(made)
    yield from usage.lines()
    yield from _values(made, outputs)


def _simulation(made: Schedule) -> Iterator[str]:
    yield from _values(made, interpret(made)[0])


def _values(made: Schedule, outputs: np.ndarray) -> Iterator[str]:
    """Input, kernel and output, each [.., rows, columns]."""
    channels_first = (0, 3, 1, 2)
    for name, array in (
        ("input", made.inputs.reshape(made.input_shape).transpose(channels_first)),
        ("kernel", made.weights.reshape(made.weight_shape).transpose(channels_first)),
        ("output", outputs),
    ):
        yield f"{name} {' x '.join(map(str, array.shape))}:"
        yield np.array2string(array, threshold=int(array.size) + 1, max_line_width=120)


@dataclass(frozen=True)
class _Layer:
    """What a network says of a convolution: shapes [N, C, H, W] and [K, C, R, S], and how windows lie."""

    image_shape: tuple[int, ...]
    kernel: np.ndarray
    pads: tuple[int, int, int, int]
    stride: tuple[int, int]


def _problem(given: argparse.Namespace) -> Convolution:
    if (given.model is None) != (given.layer is None):
        raise ConfigError("--from and --layer must be given together")
    layer = _from_network(given.model, given.layer) if given.model is not None else None
    how: Quantisation = given.quantize or ("truncate" if layer is None else "saturate")
    if layer is None:
        padding, stride = given.padding or 0, 1 if given.stride is None else given.stride
        if padding < 0:
            raise ConfigError(f"padding must be at least 0, not {padding}")
        pads, strides = (padding,) * 4, (stride, stride)
        image = _values_of(given.image, _shape("input_image_shape", given.input_image_shape, (10, 28, 28)), _BRIGHTEST)
        kernel = _values_of(given.kernel, _shape("kernel_shape", given.kernel_shape, (3, 3, 3)), _KERNEL[how])
    else:
        for name in ("input_image_shape", "kernel_shape", "padding", "stride", "kernel"):
            if getattr(given, name) is not None:
                raise ConfigError(f"--{name} must not be given with --from, which says it")
        pads, strides, kernel = layer.pads, layer.stride, layer.kernel
        image = _values_of(given.image, layer.image_shape, _BRIGHTEST)
    top, left, bottom, right = pads
    images = quantise(image, given.input_quant, how, weights=False)
    return Convolution(
        images=np.pad(images, ((0, 0), (0, 0), (top, bottom), (left, right))),
        kernels=quantise(kernel, given.weight_quant, how, weights=True),
        input_width=given.input_quant,
        weight_width=given.weight_quant,
        weights_signed=how == "saturate",
        stride=strides,
    )


def _shape(name: str, given: Sequence[int] | None, default: tuple[int, ...]) -> tuple[int, ...]:
    """Four numbers; three are images (or kernels) of one channel."""
    shape = tuple(given or default)
    if len(shape) not in (3, 4) or min(shape) < 1:
        raise ConfigError(f"{name} must be three or four numbers of at least 1, not {' '.join(map(str, shape))}")
    return shape if len(shape) == 4 else (shape[0], 1, *shape[1:])


def _values_of(file: Path | None, shape: tuple[int, ...], filler: int) -> np.ndarray:
    if file is None:
        return np.full(shape, filler, np.int64)
    array = read_inputs([str(file)])
    values = array[0] if isinstance(array, list) else next(iter(array.values()))
    if values.size != int(np.prod(shape)):
        raise ConfigError(f"{file} must hold {' x '.join(map(str, shape))} values, not {values.shape}")
    return values.reshape(shape)


def _from_network(model: Path, name: str) -> _Layer:
    graph = load(model)
    convolutions = {node.name: node for node in graph.nodes if isinstance(node.op, ir.Conv2d)}
    if name not in convolutions:
        raise GraphError(f"{model} must have a convolution {name!r}; it has {', '.join(convolutions) or 'none'}")
    node = convolutions[name]
    op = node.op
    assert isinstance(op, ir.Conv2d)
    if op.groups != 1 or op.dilations != (1, 1):
        raise GraphError(f"{name!r} must have one group and no dilation, not {op.groups} and {op.dilations}")
    batch, height, width, channels = graph.type_of(node.inputs[0]).shape
    kernel = graph.constant(node.inputs[1]).array.astype(np.int64).transpose(0, 3, 1, 2)
    return _Layer((batch, channels, height, width), kernel, op.pads, op.strides)
