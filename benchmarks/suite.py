"""What is measured: networks, the arrays they run on, and the bounds they must keep."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import gatewright
from bounds import Bound, at_least_efficiency, at_least_layers, at_most_cycles
from gatewright.build import Build
from networks import vgg8

__all__ = ["ARRAYS", "EXAMPLES", "MACHINES", "MODELS", "NETWORKS", "ROOT", "SYNTHESISED", "Case", "Machine", "Missing"]

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples" / "generated"
MODELS = ROOT.parent / "shared" / "models" / "mlperf_tiny"
CALIBRATION = 200

Config = Mapping[str, int]
Made = tuple[Build, list[np.ndarray] | None]
"""A build, and the inputs to run it on; None for random ones."""


class Missing(Exception):
    """What a case needs is not on this machine; the text says what."""


@dataclass(frozen=True)
class Machine:
    """A configuration under the name that the tables use; `memory_limit` bounds its on-chip memory, in bytes."""

    name: str
    config: Config = field(default_factory=dict)
    memory_limit: int | None = None


EIGHT = Machine("8 x 8", memory_limit=256 * 1024)
DYADIC = Machine("8 x 8 dyadic", {"multiplier_width": 0}, 256 * 1024)
SIXTEEN = Machine("16 x 16", {"rows": 16, "columns": 16, "bus_bits": 128})
SIXTEEN_LARGE = Machine("16 x 16 large", {**SIXTEEN.config, "weight_bytes": 128 * 1024, "post_lanes": 8})


@dataclass(frozen=True)
class Case:
    """A network on a machine; `make` raises `Missing` where the network is not at hand."""

    name: str
    make: Callable[[Config], Made]
    bounds: tuple[Bound, ...] = ()
    remark: str = ""
    machine: Machine = EIGHT


def _vgg8(config: Config) -> Made:
    return gatewright.compile(vgg8(), "systolic", config), None


def _pretrained(name: str) -> Callable[[Config], Made]:
    def make(config: Config) -> Made:
        path = MODELS / f"{name}_int8.onnx"
        if not path.exists():
            raise Missing(f"{path.name} is not here")
        return gatewright.compile(path, "systolic", config), None

    return make


def _lenet5(scales: str) -> Callable[[Config], Made]:
    """The example's network, quantised on its training images; it runs on one of its test images."""

    def make(config: Config) -> Made:
        folder = ROOT / "examples" / "lenet5"
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
        try:
            import digits

            train, _, test, _ = digits.load()
        except ImportError as error:
            raise Missing(f"{error.name} is not installed") from None
        options = gatewright.QuantiseOptions(activation_type="int8", per_channel=False, scales=scales)
        model = folder / "lenet5.onnx"
        build = gatewright.compile(model, "systolic", config, samples=train[:CALIBRATION], options=options)
        return build, [test[:1]]

    return make


MACHINES = (EIGHT, DYADIC, SIXTEEN, SIXTEEN_LARGE)

NETWORKS = (
    Case("VGG8", _vgg8, (at_most_cycles(2_780_000), at_least_layers(0.97, 2, 5))),
    Case("ResNet-8", _pretrained("resnet8"), (at_least_efficiency(0.90),)),
    Case("autoencoder", _pretrained("ad_autoencoder"), (at_least_efficiency(0.90),)),
    Case("DS-CNN", _pretrained("kws_dscnn"), (), "block-diagonal depthwise allows 0.55"),
    Case("MobileNet", _pretrained("vww_mobilenet"), (), "block-diagonal depthwise allows 0.52"),
    Case("LeNet-5", _lenet5("float"), (), "int8, per tensor, float scales"),
)
"""On the default configuration."""

SYNTHESISED = (EIGHT, DYADIC)
"""Machines whose area is always measured; a larger one takes many minutes."""

ARRAYS = (
    Case("VGG8", _vgg8, (at_most_cycles(2_780_000),), machine=DYADIC),
    Case("LeNet-5", _lenet5("pow2"), (), "int8, per tensor, power-of-two scales", DYADIC),
    Case("VGG8", _vgg8, (), machine=SIXTEEN),
    Case("VGG8", _vgg8, (at_most_cycles(740_646),), "the bound is SCALE-Sim's figure", SIXTEEN_LARGE),
)
"""On other configurations."""
