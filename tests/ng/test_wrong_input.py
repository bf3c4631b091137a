"""Arguments that are wrong in kind: an error that names the argument, whatever the function."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatewright.ng as ng
from gatewright.errors import ConfigError
from gatewright.ng.errors import ArgumentError


def image() -> ng.placeholder:
    return ng.placeholder(ng.int8, (1, 4, 4, 2), name="x")


def conv(**arguments: Any) -> ng.conv2d:
    w = ng.variable(ng.int8, (3, 3, 3, 2), name="w")
    w.set_value(np.zeros(w.shape, np.int64))
    return ng.conv2d(**{"input": image(), "filter": w, "strides": (1, 1, 1, 1), "dtype": ng.int8} | arguments)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("strides", 1, "strides must be a sequence of whole numbers, not 1"),
        ("strides", None, "strides must be a sequence of whole numbers, not None"),
        ("strides", (1, 1.5, 1, 1), r"strides must be a sequence of whole numbers, not \(1, 1\.5"),
        ("padding", None, "padding must be 'SAME', 'VALID', a number, or .*, not None"),
        ("padding", 1.5, "padding must be 'SAME', 'VALID', a number, or .*, not 1.5"),
        ("sum_dtype", "int32", "sum_dtype must be a type such as ng.int32, not 'int32'"),
        ("mul_dtype", 16, "mul_dtype must be a type such as ng.int32, not 16"),
        ("name", 3, "name must be a text, not 3"),
    ],
)
def test_layers(argument: str, value: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        conv(**{argument: value})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ng.placeholder(ng.int8, (1.5, 2)), "shape must be a sequence of whole numbers"),
        (lambda: ng.max_pool(image(), 2, (1, 2, 2, 1)), r"ksize must be \(1, rows, columns, 1\), not 2"),
        (lambda: ng.concat(image(), 3), "operands of concat must be several tensors, not <placeholder x"),
        (lambda: ng.reshape(image(), "ab"), "shape must be a sequence of whole numbers"),
        (lambda: ng.transpose(image(), (0.5, 1, 2, 3)), "perm must be a sequence of whole numbers"),
        (lambda: ng.upsampling2d(image(), 2), "factors must be a sequence of whole numbers, not 2"),
        (lambda: ng.sigmoid(image(), lut_clip=0), "lut_clip must be a positive number, not 0"),
        (lambda: ng.get_max_dtype(3), "objects must be tensors of gatewright.ng, not 3"),
        (lambda: ng.aligned_size(3, 0), "chunk_size must be a whole number of at least 1, not 0"),
        (lambda: ng.pack([3], ng.int8, 0), "alignment must be at least 1, not 0"),
        (lambda: ng.pack([300], ng.int8, 4), "array must fit 8 bits, not be 300..300"),
        (lambda: ng.pack(3, ng.int8, 4), "array must be numbers of at least one axis"),
        (lambda: ng.from_onnx(None), "filename must be a path, not None"),
        (lambda: ng.from_onnx("x.onnx", value_dtypes=3), "value_dtypes must be a mapping by name, not 3"),
    ],
)
def test_functions(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1], [1, 2]], r"value of variable 'b' must have rows of one length, shape \(3,\)"),
        ([1, 2, np.nan], "value of variable 'b' must be finite"),
    ],
)
def test_values_of_variables(value: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ng.variable(ng.int32, (3,), name="b").set_value(value)


def test_values_of_placeholders() -> None:
    with pytest.raises(ArgumentError, match="value of placeholder 'x' must have rows of one length"):
        ng.eval([ng.relu(image())], x=[[1], [1, 2]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_scale_factors": {"x": "a"}}, "scale factor of placeholder 'x' must be a positive number, not 'a'"),
        ({"input_generators": {"x": 3}}, "generator of placeholder 'x' must be callable, not 3"),
        ({"input_means": {"x": (1, 2, 3)}}, "mean of placeholder 'x' must be a number or one for each of 2 channels"),
        ({"input_stds": {"x": "a"}}, "deviation of placeholder 'x' must be a number or one for each of 2 channels"),
    ],
)
def test_quantisation(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ng.quantize([conv()], **{"input_scale_factors": {"x": 10}} | arguments)


def test_seeds() -> None:
    with pytest.raises(ConfigError, match="seed must be a whole number of at least 0, not -1"):
        ng.simulate([conv()], seed=-1, x=np.zeros((1, 4, 4, 2)))


def test_configurations() -> None:
    with pytest.raises(ConfigError, match="config must be a mapping of keys to values, not 3"):
        ng.design([conv()], "machine", 3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="maxi_addrwidth must be at least 9 for 320 bytes of memory, not 8"):
        ng.build([conv()], "machine", {"maxi_addrwidth": 8})
    with pytest.raises(ConfigError, match=r"default_global_addr_offset must be a multiple of 4 \(bus_bits\), not 3"):
        ng.build([conv()], "machine", {"default_global_addr_offset": 3})
    with pytest.raises(ConfigError, match="memory_bytes must be at least 4096, not 1024"):
        ng.build([conv()], "machine", {"memory_bits": 8192})


def test_outputs() -> None:
    with pytest.raises(ArgumentError, match="outputs of an accelerator must be computed or placeholders, not variable"):
        ng.design([conv().args[1]], "machine")


def test_files(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"filename must be one that can be written: .*missing"):
        ng.to_verilog([conv()], "machine", tmp_path / "missing" / "a.v", silent=True)


@pytest.mark.parametrize("name", ["a/b", "", "a b", 3])
def test_names_of_packages(name: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=f"ipname must be letters, digits, '_', '.' and '-', not {name!r}"):
        ng.to_ipxact([conv()], "machine", ipname=name, silent=True)
    assert not list(tmp_path.iterdir())


def test_simulations() -> None:
    accelerator = ng.to_veriloggen([ng.relu(image(), name="y")], "machine", silent=True)
    with ng.Simulation(accelerator, np.zeros(accelerator.addresses.size, np.uint8)) as simulation:
        with pytest.raises(ArgumentError, match="cycles must be a whole number of at least 0, not -1"):
            simulation.step(-1)
        for address in (3, -4, 1 << 32, "START"):
            with pytest.raises(ArgumentError, match="address of a register must be a multiple of 4 below 0x100000000"):
                simulation.read32(address)  # type: ignore[arg-type]
            with pytest.raises(ArgumentError, match="address of a register must be a multiple of 4"):
                simulation.write32(address, 0)  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match=r"value of a register must be a whole number of 0\.\.4294967295"):
            simulation.write32(128, -1)


def network() -> ng.conv2d:
    y = conv(name="y")
    y.args[0].set_value(np.ones((1, 4, 4, 2), np.int64))
    return y


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ng.eval([network()], z=3), r"keywords must be names of tensors \(w, x\), not 'z'"),
        (lambda: network().eval(y=3), r"keywords must be names of tensors \(w, x\), not 'y'"),
        (lambda: ng.simulate([network()], image=3), r"keywords must be names of tensors \(w, x\), not 'image'"),
        (
            lambda: ng.quantize([network()], {"x": 1.0, "X": 1.0}),
            r"keys of input_scale_factors must be names of tensors \(x\), not 'X'",
        ),
        (
            lambda: ng.quantize([network()], {"x": 1.0}, input_means={"w": 0.0}),
            r"keys of input_means must be names of tensors \(x\), not 'w'",
        ),
    ],
)
def test_names_that_nothing_has(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


def test_types_of_values_that_a_model_does_not_have() -> None:
    lenet = Path(__file__).parents[2] / "examples" / "lenet5" / "lenet5.onnx"
    with pytest.raises(ArgumentError, match=r"value_dtypes must name values of the model \(.*conv1.*\), not 'conv7'"):
        ng.from_onnx(lenet, value_dtypes={"conv7": ng.int4})
