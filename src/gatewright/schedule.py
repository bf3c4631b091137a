"""`gatewright bitfusion`: schedules one convolution for an array of fusion units, and runs what it scheduled."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import NoReturn

import numpy as np

from gatewright import ir
from gatewright.compile import load
from gatewright.errors import ConfigError, GraphError, ProgramError
from gatewright.frontends.models import read_model
from gatewright.inputs import read_inputs
from gatewright.quantize import QuantiseOptions
from gatewright.quantize import quantise as quantise_network
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
from gatewright.targets.bitfusion.operands import slices

__all__ = ["conv_command", "simulate_command"]

_BRIGHTEST = 255  # of an 8-bit image
_MOST_VALUES = 1 << 26  # of an image or a kernel: they are kept in memory
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
    for operand in ("input", "weight"):
        bits = "2, 4, 6 or 8; default 8 (--from: the layer's)"
        parser.add_argument(f"--{operand}_quant", type=int, metavar="BITS", help=bits)
    parser.add_argument(
        "--quantize", choices=tuple(_KERNEL), help="reading of 8-bit values; default truncate (--from: saturate)"
    )
    parser.add_argument("--mapping", choices=("seed", "fused"), default="seed", help="default seed")
    parser.add_argument("--image", type=Path, metavar="X.npy", help="values (and shape) of the image, 8 bits")
    parser.add_argument("--kernel", type=Path, metavar="W.npy", help="values (and shape) of the kernel, 8 bits")
    parser.add_argument(
        "--from", dest="model", type=Path, metavar="MODEL", help="take shapes and kernel from a network"
    )
    parser.add_argument("--layer", metavar="NAME", help="the convolution or product of MODEL")
    parser.add_argument(
        "--calibrate", metavar="X.npy", action="append", help="typical inputs, to quantise a MODEL in floating point"
    )
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
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ProgramError(f"{file} must be text, as `gatewright bitfusion conv -o FILE` writes it") from None
    made = parse_listing(text)
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
    """What a network says of a layer: shapes [N, C, H, W] and [K, C, R, S], how windows lie, widths of operands."""

    image_shape: tuple[int, ...]
    kernel: np.ndarray
    widths: tuple[int, int]
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    stride: tuple[int, int] = (1, 1)


def _problem(given: argparse.Namespace) -> Convolution:
    if (given.model is None) != (given.layer is None):
        raise ConfigError("--from and --layer must be given together")
    if given.model is None:
        return _free_problem(given)
    for name in ("input_image_shape", "kernel_shape", "padding", "stride", "kernel"):
        if getattr(given, name) is not None:
            raise ConfigError(f"--{name} must not be given with --from, which says it")
    layer = _from_network(given)
    image = _values_of("image", given.image, layer.image_shape, _BRIGHTEST)
    return _convolution(given, layer, image, given.quantize or "saturate")


def _widths(given: argparse.Namespace, default: tuple[int, int]) -> tuple[int, int]:
    """Of input and weights."""
    return (
        default[0] if given.input_quant is None else given.input_quant,
        default[1] if given.weight_quant is None else given.weight_quant,
    )


def _free_problem(given: argparse.Namespace) -> Convolution:
    """What options and files say, without a network."""
    if given.calibrate is not None:
        raise ConfigError("--calibrate must be given with --from, a network in floating point")
    how: Quantisation = given.quantize or "truncate"
    padding, stride = given.padding or 0, 1 if given.stride is None else given.stride
    if padding < 0:
        raise ConfigError(f"padding must be at least 0, not {padding}")
    image_shape = _shape("input_image_shape", given.input_image_shape, given.image, (10, 28, 28))
    kernel_shape = _shape("kernel_shape", given.kernel_shape, given.kernel, (3, 3, 3))
    image = _values_of("image", given.image, image_shape, _BRIGHTEST)
    kernel = _values_of("kernel", given.kernel, kernel_shape, _KERNEL[how])
    layer = _Layer(image_shape, kernel, (8, 8), (padding,) * 4, (stride, stride))
    return _convolution(given, layer, image, how)


def _convolution(given: argparse.Namespace, layer: _Layer, image: np.ndarray, how: Quantisation) -> Convolution:
    input_width, weight_width = _widths(given, layer.widths)
    top, left, bottom, right = layer.pads
    images = quantise(image, input_width, how, weights=False)
    return Convolution(
        images=np.pad(images, ((0, 0), (0, 0), (top, bottom), (left, right))),
        kernels=quantise(layer.kernel, weight_width, how, weights=True),
        input_width=input_width,
        weight_width=weight_width,
        weights_signed=how == "saturate",
        stride=layer.stride,
    )


def _shape(name: str, given: Sequence[int] | None, file: Path | None, default: tuple[int, ...]) -> tuple[int, ...]:
    """Four numbers; three are images (or kernels) of one channel. Those of the file where none are given."""
    shape = tuple(given or (default if file is None else _read(file).shape))
    if len(shape) not in (3, 4) or min(shape) < 1:
        numbers = " ".join(map(str, shape))
        raise ConfigError(f"{name} must be three or four numbers of at least 1, not {numbers or 'none'}")
    if prod(shape) > _MOST_VALUES:
        raise ConfigError(f"{name} must be of {_MOST_VALUES} values at most, not {prod(shape)}")
    return shape if len(shape) == 4 else (shape[0], 1, *shape[1:])


def _read(file: Path) -> np.ndarray:
    array = read_inputs([str(file)])
    return array[0] if isinstance(array, list) else next(iter(array.values()))


def _values_of(name: str, file: Path | None, shape: tuple[int, ...], filler: int) -> np.ndarray:
    """Values [N, C, H, W]; a file may leave out a single channel."""
    if file is None:
        return np.full(shape, filler, np.int64)
    values = _read(file)
    grey = (shape[0], *shape[2:]) if shape[1] == 1 else shape
    if values.shape not in (shape, grey):
        raise ConfigError(f"the {name} must be of shape {_by(shape)}, not {_by(values.shape)} as in {file}")
    return values.reshape(shape)


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def _from_network(given: argparse.Namespace) -> _Layer:
    graph = _graph(given)
    layers = {node.name: node for node in graph.nodes if isinstance(node.op, ir.Conv2d | ir.MatMul)}
    name = given.layer if given.layer in layers else ir.clean_name(given.layer)
    if name not in layers:
        names = ", ".join(layers) or "none"
        raise GraphError(f"{given.model} must have a convolution or product {given.layer!r}; it has {names}")
    node = layers[name]
    x, op, weights = graph.type_of(node.inputs[0]), node.op, graph.constant(node.inputs[1])
    widths = (2 * slices(x.dtype.width), 2 * slices(weights.type.dtype.width))
    kernel = weights.array.astype(np.int64)
    if not isinstance(op, ir.Conv2d):
        return _Layer((prod(x.shape[:-1]), x.shape[-1], 1, 1), kernel[:, :, None, None], widths)
    if op.groups != 1 or op.dilations != (1, 1):
        raise GraphError(f"{given.layer!r} must have one group and no dilation, not {op.groups} and {op.dilations}")
    batch, height, width, channels = x.shape
    return _Layer((batch, channels, height, width), kernel.transpose(0, 3, 1, 2), widths, op.pads, op.strides)


def _graph(given: argparse.Namespace) -> ir.Graph:
    """The network; one in floating point with the layer at the widths that are asked for."""
    if given.calibrate is None:
        return load(given.model)
    samples = read_inputs(given.calibrate)
    options = QuantiseOptions(layers={given.layer: _widths(given, (8, 8))})
    return quantise_network(read_model(given.model), samples if isinstance(samples, dict) else samples[0], options)[0]
