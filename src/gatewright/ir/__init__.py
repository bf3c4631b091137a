"""The intermediate representation: integer networks as immutable graphs with one exact meaning.

This package sees only NumPy. `numerics` defines the arithmetic, `ops` the operators, `Graph` holds them together, and
`Builder` makes graphs.
"""

from gatewright.errors import DataError, GraphError
from gatewright.ir import numerics
from gatewright.ir.builder import Builder, clean_name
from gatewright.ir.graph import Constant, Graph, Input, Node
from gatewright.ir.host import HOST_STEPS, HostStep
from gatewright.ir.numerics import Rounding
from gatewright.ir.operator import Operator
from gatewright.ir.ops import (
    MAX_LUT_WIDTH,
    OPERATORS,
    Add,
    ArgMax,
    AveragePool,
    Broadcast,
    Clip,
    Concat,
    Conv2d,
    LeakyRelu,
    Lut,
    MatMul,
    MaxPool,
    Multiply,
    Pad,
    ReduceMax,
    Requantise,
    Reshape,
    RoundedConv2d,
    Shift,
    Slice,
    Transpose,
    Upsample,
)
from gatewright.ir.parser import load, parse, save
from gatewright.ir.port import Port
from gatewright.ir.ranges import accumulator_bounds, check_accumulators, value_range
from gatewright.ir.types import I4, I8, I16, I32, I64, U4, U8, U16, U32, IntType, TensorType
from gatewright.ir.verify import verify

__all__ = [
    "HOST_STEPS",
    "I4",
    "I8",
    "I16",
    "I32",
    "I64",
    "MAX_LUT_WIDTH",
    "OPERATORS",
    "U4",
    "U8",
    "U16",
    "U32",
    "Add",
    "ArgMax",
    "AveragePool",
    "Broadcast",
    "Builder",
    "Clip",
    "Concat",
    "Constant",
    "Conv2d",
    "DataError",
    "Graph",
    "GraphError",
    "HostStep",
    "Input",
    "IntType",
    "LeakyRelu",
    "Lut",
    "MatMul",
    "MaxPool",
    "Multiply",
    "Node",
    "Operator",
    "Pad",
    "Port",
    "ReduceMax",
    "Requantise",
    "Reshape",
    "RoundedConv2d",
    "Rounding",
    "Shift",
    "Slice",
    "TensorType",
    "Transpose",
    "Upsample",
    "accumulator_bounds",
    "check_accumulators",
    "clean_name",
    "load",
    "numerics",
    "parse",
    "save",
    "value_range",
    "verify",
]
