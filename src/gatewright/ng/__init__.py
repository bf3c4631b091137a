"""NNgen's define-and-run interface: describe an integer network tensor by tensor, then evaluate it or make hardware.

    import gatewright.ng as ng

    x = ng.placeholder(ng.int8, (1, 32, 32, 3), name="x")
    w = ng.variable(ng.int8, (64, 3, 3, 3), name="w")
    y = ng.conv2d(x, w, (1, 1, 1, 1), rshift_out=8, act_func=ng.relu, dtype=ng.int8)
    w.set_value(weights)
    y.attribute(par_ich=2, par_och=2)
    (result,) = ng.eval([y], x=image)

A script written for NNgen runs after changing its import. `docs/ng.md` has every name and meaning.
"""

from typing import NoReturn

from gatewright.ng import sim
from gatewright.ng.accelerator import Accelerator, Design, export_ndarray, make_ndarray
from gatewright.ng.activations import get_leaky_relu_op, leaky_relu, leaky_relu_base, relu, relu6, sigmoid
from gatewright.ng.addresses import AddressMap, to_storage_dict
from gatewright.ng.arithmetic import add, clip, multiply, rshift, rshift_round, scaled_add, scaled_multiply, sub
from gatewright.ng.calibration import quantize
from gatewright.ng.config import NgConfig
from gatewright.ng.dtypes import (
    dtype_info,
    dtype_int,
    get_max_dtype,
    int2,
    int4,
    int8,
    int16,
    int32,
    int64,
    uint1,
    uint2,
    uint4,
    uint8,
    uint16,
    uint32,
    uint64,
)
from gatewright.ng.errors import ArgumentError, NotThereError
from gatewright.ng.evaluation import eval
from gatewright.ng.importing import from_onnx
from gatewright.ng.machine import (
    Simulated,
    address_map,
    build,
    design,
    simulate,
    to_ipxact,
    to_verilog,
    to_veriloggen,
)
from gatewright.ng.macs import conv2d, matmul
from gatewright.ng.memory import pack, set_memory, unpack
from gatewright.ng.moves import cast, concat, expand_dims, pad, reshape, slice_, transpose, upsampling2d
from gatewright.ng.pools import avg_pool, avg_pool_serial, max_pool, max_pool_serial
from gatewright.ng.records import is_elementwise_operator
from gatewright.ng.reductions import argmax, reduce_max, reduce_sum
from gatewright.ng.shapes import (
    aligned_size,
    clip_threshold,
    pad_size,
    pad_size_split,
    pix_size,
    to_axis,
    to_reduce_shape,
)
from gatewright.ng.simulation import Simulation
from gatewright.ng.storage import (
    constant,
    full,
    full_imm,
    full_imm_like,
    full_like,
    ones,
    ones_imm,
    ones_imm_like,
    ones_like,
    placeholder,
    variable,
    zeros,
    zeros_imm,
    zeros_imm_like,
    zeros_like,
)
from gatewright.ng.timing import memory_options

__all__ = [
    "Accelerator",
    "AddressMap",
    "ArgumentError",
    "Design",
    "NgConfig",
    "NotThereError",
    "Simulated",
    "Simulation",
    "add",
    "address_map",
    "aligned_size",
    "argmax",
    "avg_pool",
    "avg_pool_serial",
    "build",
    "cast",
    "clip",
    "clip_threshold",
    "concat",
    "constant",
    "conv2d",
    "design",
    "dtype_info",
    "dtype_int",
    "eval",
    "expand_dims",
    "export_ndarray",
    "from_onnx",
    "full",
    "full_imm",
    "full_imm_like",
    "full_like",
    "get_leaky_relu_op",
    "get_max_dtype",
    "int2",
    "int4",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_elementwise_operator",
    "leaky_relu",
    "leaky_relu_base",
    "make_ndarray",
    "matmul",
    "max_pool",
    "max_pool_serial",
    "memory_options",
    "multiply",
    "ones",
    "ones_imm",
    "ones_imm_like",
    "ones_like",
    "pack",
    "pad",
    "pad_size",
    "pad_size_split",
    "pix_size",
    "placeholder",
    "quantize",
    "reduce_max",
    "reduce_sum",
    "relu",
    "relu6",
    "reshape",
    "rshift",
    "rshift_round",
    "scaled_add",
    "scaled_multiply",
    "set_memory",
    "sigmoid",
    "sim",
    "simulate",
    "slice_",
    "sub",
    "to_axis",
    "to_ipxact",
    "to_reduce_shape",
    "to_storage_dict",
    "to_verilog",
    "to_veriloggen",
    "transpose",
    "uint1",
    "uint2",
    "uint4",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "unpack",
    "upsampling2d",
    "variable",
    "zeros",
    "zeros_imm",
    "zeros_imm_like",
    "zeros_like",
]

_NOT_THERE = frozenset(
    {
        "abs", "add_n", "argmin", "binary_weight_conv2d", "control_reg_addr_global_addr_map", "control_reg_busy",
        "control_reg_busy_global_addr_map", "control_reg_extern_recv", "control_reg_extern_send",
        "control_reg_global_addr", "control_reg_global_offset", "control_reg_interrupt_iar",
        "control_reg_interrupt_ier", "control_reg_interrupt_isr", "control_reg_interrupt_isr_busy",
        "control_reg_interrupt_isr_extern", "control_reg_load_global_addr_map", "control_reg_reset",
        "control_reg_start", "div", "dtype_fixed", "equal", "exp", "extern", "fixed16_8", "fixed32_16", "fixed8_4",
        "greater", "greater_equal", "header_reg", "less", "less_equal", "log_weight_conv2d", "lshift",
        "multiply_add_rshift_clip", "multiply_shared", "neg", "normalize", "not_equal", "reduce_min", "scaled_concat",
        "scaled_div", "sign_binary", "sign_ternary", "ternary_weight_conv2d", "verify", "where",
    }
)  # fmt: skip


def __getattr__(name: str) -> NoReturn:
    """Say of NNgen's other names that they are not there yet."""
    if name in _NOT_THERE:
        raise NotThereError(f"gatewright.ng.{name} is not there yet")
    raise AttributeError(f"module 'gatewright.ng' has no attribute {name!r}")
