"""Widths of single layers as users write them, and 16 bits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from gatewright.errors import ConfigError, ModelError
from gatewright.frontends.onnx import import_onnx
from gatewright.frontends.reference import run_reference
from gatewright.ir import Conv2d, MatMul, check_accumulators
from gatewright.quantize import QuantiseOptions, quantise, quantise_model, read_widths

Samples = Callable[..., np.ndarray]


def test_pairs_and_files(tmp_path: Path) -> None:
    path = tmp_path / "widths.toml"
    path.write_text('[layers]\nconv1 = "a8w4"\n"block/conv2" = [4, 2]\nfc = "a16w8"\n')
    assert read_widths([str(path), "conv1=a6w6", "a=b=a2w2"]) == {
        "conv1": (6, 6),
        "block/conv2": (4, 2),
        "fc": (16, 8),
        "a=b": (2, 2),
    }
    assert read_widths([]) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv1 = 1", 'must have a table [layers] such as: conv1 = "a8w4"'),
        ("[layers]", 'must have a table [layers] such as: conv1 = "a8w4"'),
        ("[layers]\nconv1 = 8", 'conv1 must be given widths such as "a8w4" or [8, 4], not 8'),
        ("[layers]\nconv1 = [8, 9]", "weight bits in 'a8w9' must be from 2 to 8, or 16, not 9"),
        ("[layers", "must be LAYER=a8w4 or a TOML file: "),
    ],
)
def test_files_that_say_something_else(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "widths.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_widths([str(path)])
    assert message in str(error.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must be LAYER=a8w4 or a TOML file: no such file"):
        read_widths([str(tmp_path / "none.toml")])


@pytest.mark.parametrize(
    ("bits", "options", "bound", "accumulator"),
    [((16, 8), {}, 40, 32), ((8, 16), {}, 38, 32), ((16, 16), {}, 80, 64), ((16, 8), {"scales": "pow2"}, 34, 32)],
)
def test_sixteen_bits(
    small: onnx.ModelProto, samples: Samples, bits: tuple[int, int], options: dict, bound: float, accumulator: int
) -> None:
    arrays = samples(small)
    graph, report = quantise(small, arrays, QuantiseOptions(*bits, **options))
    (agreement,) = report.outputs.values()
    assert agreement.sqnr_db > bound
    products = [node for node in graph.nodes if isinstance(node.op, Conv2d | MatMul)]
    assert {graph.type_of(node.inputs[0]).dtype.width for node in products} == {bits[0]}
    assert {graph.type_of(node.inputs[1]).dtype.width for node in products} == {bits[1]}
    assert {node.type.dtype.width for node in products} == {accumulator}
    check_accumulators(graph)


def test_sixteen_bits_equal_onnx_runtime_up_to_steps(small: onnx.ModelProto, samples: Samples) -> None:
    arrays = samples(small, 8)
    model, _ = quantise_model(small, arrays, QuantiseOptions(16, 8))
    graph = import_onnx(model)
    (port,) = graph.output_ports
    for sample in arrays[:, None]:
        found = port.decode(graph.evaluate(graph.input_ports[0].encode(sample))[graph.outputs[0]])
        expected = run_reference(model, {"x": sample})[port.name]
        assert np.abs(found - expected).max() <= 4 * port.scale  # of 65536; sums in float32 have 24 bits


def test_layers_of_16_and_of_few_bits(small: onnx.ModelProto, samples: Samples) -> None:
    names = [node.name for node in small.graph.node if node.op_type in ("Conv", "Gemm")]
    layers = dict(zip(names, [(16, 8), (4, 4), (8, 16), (3, 2)], strict=True))
    graph, _ = quantise(small, samples(small), QuantiseOptions(layers=layers))
    for name, widths in layers.items():
        node = graph.producer(name)
        assert tuple(graph.type_of(value).dtype.width for value in node.inputs[:2]) == widths


def test_sums_that_do_not_fit_name_the_layer(builder: type) -> None:
    net = builder("batch", 60000)
    model = net.model(net.gemm("x", 60000, 2))
    arrays = np.random.default_rng(0).normal(size=(3, 60000)).astype(np.float32)
    with pytest.raises(ModelError, match="gemm_0: sums of 60000 products must fit an accumulator of 32 bits"):
        quantise(model, arrays, QuantiseOptions(16, 8))
