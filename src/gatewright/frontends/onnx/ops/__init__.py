"""The operators of ONNX the importer knows: one function each, in one table."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gatewright.frontends.onnx import qdq
from gatewright.frontends.onnx.call import Call, Known
from gatewright.frontends.onnx.ops import (
    arithmetic,
    function,
    host,
    mac,
    move,
    part,
    pool,
    qonnx,
    qoperator,
    resize,
    truncation,
)

__all__ = ["OPERATORS", "Handler", "support_table"]

Handler = Callable[[Call], Known | tuple[Known, ...]]

OPERATORS: Mapping[str, Handler] = MappingProxyType(
    {
        **dict.fromkeys(function.FUNCTIONS, function.elementwise),
        "Add": arithmetic.add,
        "ArgMax": host.argmax,
        "AveragePool": pool.average_pool,
        "BatchNormalization": mac.batch_normalization,
        "BipolarQuant": qonnx.bipolar_quant,
        "Cast": qdq.cast,
        "Clip": function.clip,
        "Concat": part.concat,
        "Conv": mac.conv,
        "ConvInteger": mac.conv_integer,
        "DepthToSpace": move.depth_to_space,
        "DequantizeLinear": qdq.dequantize_linear,
        "Div": arithmetic.divide,
        "Dropout": move.identity,
        "Flatten": move.flatten,
        "Gemm": mac.gemm,
        "GlobalAveragePool": pool.global_average_pool,
        "GlobalMaxPool": pool.global_max_pool,
        "Identity": move.identity,
        "IntQuant": qonnx.quant,
        "LeakyRelu": function.leaky_relu,
        "LogSoftmax": host.log_softmax,
        "MatMul": mac.matmul,
        "MatMulInteger": mac.matmul_integer,
        "Max": function.maximum,
        "MaxPool": pool.max_pool,
        "Min": function.minimum,
        "Mul": arithmetic.multiply,
        "MultiThreshold": qonnx.multi_threshold,
        "Pad": part.pad,
        "QGemm": qoperator.qgemm,
        "QLinearAdd": qoperator.qlinear_add,
        "QLinearAveragePool": qoperator.qlinear_average_pool,
        "QLinearConcat": qoperator.qlinear_concat,
        "QLinearConv": qoperator.qlinear_conv,
        "QLinearGlobalAveragePool": qoperator.qlinear_global_average_pool,
        "QLinearLeakyRelu": qoperator.qlinear_leaky_relu,
        "QLinearMatMul": qoperator.qlinear_matmul,
        "QLinearMul": qoperator.qlinear_mul,
        "QLinearSigmoid": qoperator.qlinear_sigmoid,
        "QLinearSoftmax": qoperator.qlinear_softmax,
        "Quant": qonnx.quant,
        "QuantizeLinear": qdq.quantize_linear,
        "ReduceMean": pool.reduce_mean,
        "Relu": function.relu,
        "Reshape": move.reshape,
        "Resize": resize.resize,
        "Shape": move.shape_of,
        "Sigmoid": function.sigmoid,
        "Slice": part.slice_,
        "Softmax": host.softmax,
        "SpaceToDepth": move.space_to_depth,
        "Split": part.split,
        "Squeeze": move.squeeze,
        "Sub": arithmetic.subtract,
        "Trunc": truncation.trunc,
        "Transpose": move.transpose,
        "Unsqueeze": move.unsqueeze,
        "Upsample": resize.upsample,
    }
)


def support_table() -> str:
    """The operators and their forms in Markdown: the first line of each function's docstring."""
    names: dict[Handler, list[str]] = {}
    for name, handler in sorted(OPERATORS.items()):
        names.setdefault(handler, []).append(f"`{name}`")
    rows = [f"| {', '.join(group)} | {(handler.__doc__ or '').splitlines()[0]} |" for handler, group in names.items()]
    return "\n".join(["| operator | forms |", "|---|---|", *rows])
