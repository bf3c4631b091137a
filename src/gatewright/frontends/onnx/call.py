"""One node of the model as an operator function sees it: attributes, and operands in the kind it needs."""

from dataclasses import dataclass

import numpy as np
import onnx_ir

from gatewright.frontends.onnx.context import Context, Unsupported
from gatewright.frontends.onnx.layout import View
from gatewright.frontends.onnx.products import IntegerSum
from gatewright.frontends.onnx.sums import FloatInput
from gatewright.frontends.onnx.values import Constant, Host, Integer, QuantisedConstant, Real, Scaled, Value

__all__ = ["Call", "Known"]

Known = Value | IntegerSum


@dataclass(frozen=True)
class Call:
    """A node, its operands (None where an optional one is left out), and the graph under construction."""

    context: Context
    node: onnx_ir.Node
    operands: tuple[Known | None, ...]
    opsets: dict[str, int]

    @property
    def name(self) -> str:
        return self.node.name or self.node.op_type

    @property
    def output(self) -> str:
        """The name of the first result."""
        return self.node.outputs[0].name or self.name

    def get_int(self, name: str, default: int) -> int:
        attribute = self.node.attributes.get(name)
        return default if attribute is None else attribute.as_int()

    def get_float(self, name: str, default: float) -> float:
        attribute = self.node.attributes.get(name)
        return default if attribute is None else attribute.as_float()

    def get_text(self, name: str, default: str) -> str:
        attribute = self.node.attributes.get(name)
        return default if attribute is None else attribute.as_string()

    def get_ints(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        attribute = self.node.attributes.get(name)
        return default if attribute is None else tuple(attribute.as_ints())

    def has(self, index: int) -> bool:
        """Whether an optional operand is given."""
        return index < len(self.operands) and self.operands[index] is not None

    def value(self, index: int) -> Known:
        operand = self.operands[index] if index < len(self.operands) else None
        if operand is None:
            raise Unsupported(f"operand {index} must be given")
        return operand

    def array(self, index: int) -> np.ndarray:
        """A constant operand."""
        value = self.value(index)
        if not isinstance(value, Constant | QuantisedConstant):
            raise Unsupported(f"operand {index} ({self.input_name(index)}) must be a constant")
        return value.array

    def number(self, index: int) -> float:
        """A constant operand with one entry."""
        array = self.array(index)
        if array.size != 1:
            raise Unsupported(
                f"operand {index} ({self.input_name(index)}) must have one entry, not {list(array.shape)}"
            )
        return float(array.reshape(-1)[0])

    def axis(self, name: str, default: int, rank: int) -> int:
        """An attribute that counts axes from either end."""
        axis = self.get_int(name, default)
        if not -rank <= axis < rank:
            raise Unsupported(f"{name} must be an axis of {rank} dimensions, not {axis}")
        return axis % rank

    def weights(self, index: int) -> QuantisedConstant:
        """An operand that must be a quantised constant."""
        value = self.value(index)
        if isinstance(value, QuantisedConstant):
            return value
        if isinstance(value, Constant):
            raise Unsupported(
                f"weights ({self.input_name(index)}) must be quantised: DequantizeLinear of integers, not floats"
            )
        raise Unsupported(f"weights ({self.input_name(index)}) must be constant, not computed by the network")

    def scaled(self, index: int = 0) -> Scaled:
        """An operand that must be a quantised activation."""
        value = self.value(index)
        if isinstance(value, Scaled):
            return value.plain(self.context)
        raise Unsupported(self.not_quantised(index))

    def integer(self, index: int = 0) -> Integer:
        """An operand that must be integers of the network."""
        value = self.value(index)
        if isinstance(value, IntegerSum):
            return value.integer(self.context)
        if isinstance(value, Integer):
            return value
        raise Unsupported(f"operand {index} ({self.input_name(index)}) must be integers computed by the network")

    def real(self, index: int = 0) -> Real:
        """A floating-point operand; a quantised constant becomes a constant of the graph."""
        value = self.value(index)
        if isinstance(value, QuantisedConstant):
            return self.placed(value, self.input_name(index))
        if isinstance(value, Real):
            return value
        raise Unsupported(self.not_quantised(index))

    def placed(self, constant: QuantisedConstant, name: str) -> Scaled:
        """A quantised constant in the graph."""
        if np.ptp(constant.scale):
            raise Unsupported(f"constant {name} must have one scale")
        value = self.context.constant(constant.integers, constant.dtype, name)
        return Scaled.of(View.of(value, constant.shape), float(constant.scale.flat[0]))

    def input_name(self, index: int) -> str:
        value = self.node.inputs[index]
        return (value.name if value is not None else None) or str(index)

    def not_quantised(self, index: int) -> str:
        """Why an operand is no quantised activation."""
        name, value = self.input_name(index), self.value(index)
        match value:
            case Host():
                return f"operand {name} is a result of the host ({value.steps[-1].kind if value.steps else 'integers'})"
            case FloatInput():
                return f"input {name} must be quantised: a QuantizeLinear and a DequantizeLinear must follow it"
            case Real():
                return f"{value.producer} and this node must have a QuantizeLinear and a DequantizeLinear between them"
            case Constant() | QuantisedConstant():
                return f"operand {name} must be computed by the network, not constant"
        return f"operand {name} must be real numbers (DequantizeLinear), not integers"
