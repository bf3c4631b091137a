"""Quantisation of a network that was written down: real parameters become integers, shifts are chosen on samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gatewright import ir
from gatewright.ng.activations import relu6, sigmoid
from gatewright.ng.arithmetic import add, multiply, rshift, rshift_round, scaled_add, scaled_multiply, sub
from gatewright.ng.draft import Draft, as_integers
from gatewright.ng.dtypes import int32
from gatewright.ng.evaluation import as_outputs
from gatewright.ng.imported import Imported
from gatewright.ng.importing import sources
from gatewright.ng.moves import concat
from gatewright.ng.parameters import quantise_parameters, quantise_values
from gatewright.ng.products import Product
from gatewright.ng.records import Numeric, Operator, closure
from gatewright.ng.reductions import argmax
from gatewright.ng.samples import Samples
from gatewright.ng.shapes import clip_threshold
from gatewright.ng.storage import Immediate, Storage, placeholder

__all__ = ["quantize"]

_MULTIPLIER_BITS = 15  # of scaled_add
_MANY = 4096  # values, from which on the largest one seen is trusted


def quantize(
    outputs: Numeric | Iterable[Numeric] | Mapping[str, Numeric],
    input_scale_factors: Mapping[str, float],
    input_means: Mapping[str, Any] | None = None,
    input_stds: Mapping[str, Any] | None = None,
    input_generators: Mapping[str, Any] | None = None,
    num_samples: int = 1,
    verbose: bool = False,
) -> None:
    """Turn real parameters into integers, in place, and choose shifts so that samples just fit the types.

    Parameters are real numbers whatever array they are in; `scale_factor` of each tensor becomes the integer that
    stands for 1.0. See `Samples` for the inputs and `docs/ng.md` for the rules. What is quantised already stays.
    """
    given = (input_scale_factors, input_means or {}, input_stds or {}, input_generators or {})
    samples, records = Samples(*given, num_samples), closure(as_outputs(outputs))
    samples.expect([record for record in records if isinstance(record, placeholder)])
    for source in sources(records):
        source.quantise(samples)
    calibrator = _Calibrator(samples)
    written = any(isinstance(record, Operator) and not isinstance(record, Imported) for record in records)
    for record in records:
        if written:
            calibrator.visit(record)
        if verbose:
            print(f"{record!r} scale_factor:{record.scale_factor:g}")


class _Calibrator:
    """Goes over a network in order and keeps the values of each tensor on the samples."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self.values: dict[int, list[np.ndarray]] = {}

    def visit(self, record: Numeric) -> None:
        if isinstance(record, placeholder):
            preset = record.value is not None and record.name not in self.samples.factors
            record.scale_factor = record.scale_factor if preset else self.samples.factor(record)
            self.values[record.object_id] = (
                self.samples.draw(record)
                if record.value is None
                else [as_integers(record.value, record, record.dtype or int32)] * self.samples.count
            )
        elif isinstance(record, Operator) and not isinstance(record, Immediate):
            if not record.quantized:
                self._quantise(record)
                record.quantized = True
            self.values[record.object_id] = self._run(record)

    def _quantise(self, record: Operator) -> None:
        if isinstance(record, Product):
            self._product(record)
        elif isinstance(record, scaled_add):
            self._scaled_add(record)
        elif isinstance(record, scaled_multiply):
            self._scaled_multiply(record)
        else:
            self._plain(record)

    def _plain(self, record: Operator) -> None:
        """The scale of the first computed operand; constants beside it take the same scale, factors their own."""
        if isinstance(record, rshift | rshift_round):
            amounts = np.unique(np.asarray(record.args[1].value)) if _is_parameter(record.args[1]) else np.zeros(2)
            quantise_values(record.args[0])
            record.scale_factor = record.args[0].scale_factor / (2 ** int(amounts[0]) if amounts.size == 1 else 1)
            return
        factors = isinstance(record, multiply)
        leader = next((arg for arg in record.args if not _is_parameter(arg)), record.args[0])
        for arg in record.args:
            if _is_parameter(arg):
                together = isinstance(record, add | sub | concat) and arg is not leader
                quantise_values(arg, leader.scale_factor if together else None)
        record.scale_factor = leader.scale_factor
        if factors:
            record.scale_factor = record.args[0].scale_factor * record.args[1].scale_factor
        elif isinstance(record, sigmoid):
            record.scale_factor = float(record.greatest)
        elif isinstance(record, argmax):
            record.scale_factor = 1.0

    def _product(self, record: Product) -> None:
        """Parameters first; then the shift that lets the samples fill the range of the result."""
        x, w = record.args[:2]
        scale = quantise_parameters(record)
        fine = x.scale_factor * w.scale_factor * (record.scale.scale_factor if record.scale is not None else 1.0)
        fine /= 2 ** ((record.cshamt_mul or 0) + (record.cshamt_sum or 0))
        shift = 0
        if "rshift_out" not in record.vectors:
            largest, high = self._largest_result(record), _greatest(record)
            if isinstance(record.act_func, relu6):
                largest = min(largest, round(6 * fine))
            shift = _least_shift(largest, high)
            if shift and scale is not None:
                fine *= _fill(record, scale, largest / (high * 2.0**shift))
                shift -= 1
            record.cshamt_out = shift
        fine /= 2**shift
        if isinstance(record.act_func, sigmoid):
            record.act_func.features_scale_factor = fine
            fine = float(record.act_func.greatest)
        record.scale_factor = fine

    def _largest_result(self, record: Product) -> int:
        """The largest size of what is shifted, on the side that the result keeps."""
        draft = self._draft(record)
        with draft.within(record):
            value = record.sums(draft)
            scale = np.abs(record.vector(draft, "scale"))
        values = np.stack([sums.astype(np.float64) * scale for sums in self._evaluate(draft, record, value)])
        bounds = record.act_func.bounds(-1, 1) if record.act_func is not None else None
        positive = bounds == (0, 1) or not (record.dtype or int32).signed
        return int(_largest(np.maximum(values, 0) if positive and values.max() > 0 else values))

    def _scaled_add(self, record: scaled_add) -> None:
        """The sum of both real numbers, scaled such that its largest fills the range."""
        for arg in record.args:
            quantise_values(arg)
        a, b = (self._operand(arg) for arg in record.args)
        factors = [arg.scale_factor for arg in record.args]
        largest = _largest(np.stack([x / factors[0] + y / factors[1] for x, y in zip(a, b, strict=True)]))
        wanted = _greatest(record) / largest if largest else min(factors)
        wanted = min(wanted, max(factors) * _greatest(record))
        ratios = [wanted / factor for factor in factors]
        (record.a_scale, record.b_scale), record.shamt = ir.numerics.quantise_multipliers_together(
            ratios, _MULTIPLIER_BITS
        )
        record.scale_factor = wanted

    def _scaled_multiply(self, record: scaled_multiply) -> None:
        for arg in record.args:
            quantise_values(arg)
        a, b = (self._operand(arg) for arg in record.args)
        products = np.stack([x.astype(np.float64) * y for x, y in zip(a, b, strict=True)])
        record.shamt = _least_shift(int(_largest(products)), _greatest(record))
        record.scale_factor = record.args[0].scale_factor * record.args[1].scale_factor / 2**record.shamt

    def _operand(self, arg: Numeric) -> list[np.ndarray]:
        """The integers of an operand on each sample."""
        if arg.object_id in self.values:
            return self.values[arg.object_id]
        array = Draft("constant").array(arg)
        assert array is not None
        return [array] * self.samples.count

    def _run(self, record: Operator) -> list[np.ndarray]:
        """The integers of a record on each sample."""
        draft = self._draft(record)
        draft.add_records([record])
        return self._evaluate(draft, record, draft.value(record))

    def _draft(self, record: Operator) -> Draft:
        """A draft in which the computed operands of a record are inputs."""
        known = [arg for arg in record.args if arg.object_id in self.values]
        draft = Draft("calibration", given=frozenset(arg.object_id for arg in known))
        draft.add_records(dict.fromkeys(known))
        return draft

    def _evaluate(self, draft: Draft, record: Operator, value: str) -> list[np.ndarray]:
        draft.builder.output(value)
        graph = draft.builder.build()
        ids = [arg.object_id for arg in record.args if arg.object_id in self.values]
        known = {draft.values[number]: self.values[number] for number in ids}
        runs = [{name: arrays[index] for name, arrays in known.items()} for index in range(self.samples.count)]
        return [graph.evaluate(inputs)[value] for inputs in runs]


def _is_parameter(record: Numeric) -> bool:
    return isinstance(record, Storage) and not isinstance(record, placeholder)


def _greatest(record: Numeric) -> int:
    """The largest integer that a symmetric clip keeps."""
    dtype = record.dtype or int32
    return clip_threshold(dtype.width, dtype.signed)[0]


def _largest(values: np.ndarray) -> float:
    """The largest size of these values; of few, what may be expected of more: four times their root mean square."""
    largest = float(np.abs(values).max())
    return largest if values.size >= _MANY else max(largest, 4 * float(np.sqrt(np.square(values).mean())))


def _least_shift(largest: int, high: int) -> int:
    """The least shift after which `largest`, half away from zero, is at most `high`."""
    shift = 0
    while (largest + (1 << shift >> 1)) >> shift > high:
        shift += 1
    return shift


def _fill(record: Product, real: np.ndarray, share: float) -> float:
    """Let results fill the range of which they use a `share` (above a half): smaller scales, one shift less.

    `real` are the real numbers of the scale. Returns what the scale was multiplied by.
    """
    scale = record.scale
    assert scale is not None
    factor = min(1.0, 0.5 / share)
    scale.scale_factor *= factor
    scale.value = np.rint(real * scale.scale_factor).astype(np.int64)
    return factor
