"""The operators, one file each; `OPERATORS` lists them for the text form, the tests and the documentation."""

from gatewright.ir.operator import Operator
from gatewright.ir.ops.add import Add
from gatewright.ir.ops.arg_max import ArgMax
from gatewright.ir.ops.average_pool import AveragePool
from gatewright.ir.ops.broadcast import Broadcast
from gatewright.ir.ops.clip import Clip
from gatewright.ir.ops.concat import Concat
from gatewright.ir.ops.conv2d import Conv2d
from gatewright.ir.ops.leaky_relu import LeakyRelu
from gatewright.ir.ops.lut import MAX_LUT_WIDTH, Lut
from gatewright.ir.ops.matmul import MatMul
from gatewright.ir.ops.max_pool import MaxPool
from gatewright.ir.ops.multiply import Multiply
from gatewright.ir.ops.pad import Pad
from gatewright.ir.ops.reduce_max import ReduceMax
from gatewright.ir.ops.requantise import Requantise
from gatewright.ir.ops.reshape import Reshape
from gatewright.ir.ops.rounded_conv2d import RoundedConv2d
from gatewright.ir.ops.shift import Shift
from gatewright.ir.ops.slice import Slice
from gatewright.ir.ops.transpose import Transpose
from gatewright.ir.ops.upsample import Upsample

__all__ = [
    "MAX_LUT_WIDTH",
    "OPERATORS",
    "Add",
    "ArgMax",
    "AveragePool",
    "Broadcast",
    "Clip",
    "Concat",
    "Conv2d",
    "LeakyRelu",
    "Lut",
    "MatMul",
    "MaxPool",
    "Multiply",
    "Pad",
    "ReduceMax",
    "Requantise",
    "Reshape",
    "RoundedConv2d",
    "Shift",
    "Slice",
    "Transpose",
    "Upsample",
]

OPERATORS: tuple[type[Operator], ...] = (
    Conv2d,
    MatMul,
    Requantise,
    Add,
    MaxPool,
    AveragePool,
    Clip,
    Lut,
    Reshape,
    Transpose,
    Concat,
    Pad,
    Slice,
    Upsample,
    RoundedConv2d,
    Multiply,
    Shift,
    LeakyRelu,
    ReduceMax,
    ArgMax,
    Broadcast,
)
