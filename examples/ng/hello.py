"""A small image classifier, tensor by tensor: convolutions with 64 filters, pooling, two dense layers; 8 or 16 bits.

    python examples/ng/hello.py [--bits 16] [--no-simulation]

It is the first network of NNgen's documentation in this project's words, with random weights. The script writes the
network down, quantises it, evaluates it in integers, compares with real numbers, and makes an accelerator of 36
multipliers: an IP-XACT package in hello_v1_0, its log, and the image of parameters that a driver copies to its memory.
Then it simulates the Verilog as a driver would run it, register by register, and finds the same scores.
"""

import argparse
from dataclasses import dataclass

import numpy as np

import gatewright.ng as ng

CLASSES = 10


@dataclass(frozen=True)
class Widths:
    """The element types of the network."""

    activation: ng.dtype_info = ng.int8
    weight: ng.dtype_info = ng.int8
    bias: ng.dtype_info = ng.int32
    scale: ng.dtype_info = ng.int8
    total: ng.dtype_info = ng.int32

    @classmethod
    def of(cls, bits: int) -> "Widths":
        """All elements of 8 bits, or of 16: biases too, then, with sums of 64."""
        return cls() if bits == 8 else cls(ng.int16, ng.int16, ng.int16, ng.int16, ng.int64)

    @property
    def most(self) -> int:
        """The largest integer of the image."""
        return (1 << (self.activation.width - 1)) - 1

    @property
    def one(self) -> int:
        """The integer that stands for 1.0 in the image: half of the range."""
        return 1 << (self.activation.width - 2)


def describe(widths: Widths) -> list:
    """The layers, first to last; values of variables are not set yet."""
    image = ng.placeholder(widths.activation, (1, 32, 32, 3), name="image")
    first = layer(ng.conv2d, image, (64, 3, 3, 3), widths, "first", strides=(1, 1, 1, 1), act_func=ng.relu)
    pooled = ng.max_pool_serial(first, (1, 2, 2, 1), (1, 2, 2, 1), name="pooled")
    second = layer(ng.conv2d, pooled, (64, 3, 3, 64), widths, "second", strides=(1, 1, 1, 1), act_func=ng.relu)
    flat = ng.reshape(second, (1, -1), name="flat")
    hidden = layer(ng.matmul, flat, (256, flat.shape[-1]), widths, "hidden", transposed_b=True, act_func=ng.relu)
    scores = layer(ng.matmul, hidden, (CLASSES, 256), widths, "scores", transposed_b=True)
    return [first, pooled, second, flat, hidden, scores]


def layer(kind, x, shape, widths, name, **options):
    """A convolution or product with weights, a bias and a scale for each output."""
    weights = ng.variable(widths.weight, shape, name=f"{name}_weights")
    bias = ng.variable(widths.bias, shape[:1], name=f"{name}_bias")
    scale = ng.variable(widths.scale, shape[:1], name=f"{name}_scale")
    result = kind(
        x, weights, bias=bias, scale=scale, dtype=widths.activation, sum_dtype=widths.total, name=name, **options
    )
    result.attribute(par_ich=2, par_och=2)
    return result


def set_values(layers: list, seed: int = 0) -> None:
    """Random real weights; small biases; scales of 1."""
    random = np.random.default_rng(seed)
    for each in layers:
        if isinstance(each, ng.conv2d):
            weights, bias, scale = each.args[1:]
            weights.set_value(np.clip(random.normal(size=weights.shape), -3, 3))
            bias.set_value(np.clip(random.normal(size=bias.shape), -3, 3) / 100)
            scale.set_value(np.ones(scale.shape))


def as_real_numbers(layers: list, image: np.ndarray) -> np.ndarray:
    """The scores in floating point: what quantisation is compared with."""
    parameters = [[tensor.value.astype(float) for tensor in each.args[1:]] for each in layers if hasattr(each, "bias")]
    x = image
    for weights, bias, scale in parameters[:2]:
        size = x.shape[1]
        padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
        x = np.maximum((np.einsum("nyxcij,oijc->nyxo", windows, weights, optimize=True) + bias) * scale, 0)
        if size == 32:
            x = x.reshape(1, 16, 2, 16, 2, -1).max(axis=(2, 4))
    (weights, bias, scale), (last_weights, last_bias, last_scale) = parameters[2:]
    hidden = np.maximum((x.reshape(1, -1) @ weights.T + bias) * scale, 0)
    return (hidden @ last_weights.T + last_bias) * last_scale


def run(accelerator: ng.Accelerator, image: ng.placeholder, scores: ng.matmul, pixels: np.ndarray) -> np.ndarray:
    """What a driver does: fill the memory, start, wait, read the result; prints the cycles."""
    memory = np.zeros(accelerator.addresses.size, np.uint8)
    ng.set_memory(memory, pixels, 32, image.dtype.width, image.addr, image.get_word_alignment())
    ng.set_memory(memory, ng.export_ndarray([scores]), 32, 8, accelerator.addresses.parameters.address)
    with ng.Simulation(accelerator, memory, read_delay=10, write_delay=10, sleep_interval=16, keep_sleep=4) as saxi:
        ng.sim.start(saxi)
        ng.sim.wait(saxi)
        print(f"simulated           {saxi.result().cycles} cycles")
    return ng.unpack(memory[scores.addr :], scores.shape, scores.dtype, scores.get_word_alignment())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bits", type=int, choices=(8, 16), default=8, help="bits of activations and weights")
    parser.add_argument("--no-simulation", action="store_true", help="stop when the accelerator is made")
    arguments = parser.parse_args()

    widths = Widths.of(arguments.bits)
    layers = describe(widths)
    image, scores = layers[0].args[0], layers[-1]
    set_values(layers)
    random = np.random.default_rng(1)
    pixels = np.clip(np.rint(random.normal(size=image.shape) * widths.one / 3), -widths.most, widths.most).astype(
        np.int64
    )
    exact = as_real_numbers(layers, pixels / widths.one)

    ng.quantize([scores], {"image": widths.one}, num_samples=4)
    (found,) = ng.eval([scores], image=pixels)
    real = found / scores.scale_factor
    noise = float(np.square(real - exact).sum())
    print("scores             ", *found[0])
    print("class              ", int(found.argmax()), "in floating point", int(exact.argmax()))
    print(f"signal to noise     {10 * np.log10(float(np.square(exact).sum()) / noise):.1f} dB")

    accelerator = ng.to_ipxact([scores], "hello")
    print(f"image of parameters {ng.export_ndarray([scores]).size} bytes")
    if not arguments.no_simulation:
        agree = np.array_equal(run(accelerator, image, scores, pixels), found)
        print("the Verilog gives  ", "the same scores" if agree else "OTHER SCORES")


if __name__ == "__main__":
    main()
