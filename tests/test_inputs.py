"""Inputs: cut into batches, drawn from a seed, joined again."""

import numpy as np
import pytest

from gatewright.errors import DataError
from gatewright.inputs import join_outputs, random_inputs, read_inputs, split_inputs
from gatewright.ir import I8, U4, Port, TensorType


def port(shape=(2, 3), dtype="int8", **more) -> Port:
    return Port("x", dtype, shape, type=TensorType(shape, I8), **more)


@pytest.mark.parametrize(("rows", "count"), [(2, 1), (6, 3)])
def test_arrays_are_cut_into_batches(rows, count):
    array = np.arange(rows * 3, dtype=np.int8).reshape(rows, 3)
    batches = split_inputs([port()], array)
    assert len(batches) == count
    np.testing.assert_array_equal(join_outputs(batches)["x"], array)


def test_one_sample_may_come_without_the_axis_of_the_batch():
    (batch,) = split_inputs([port((1, 3))], np.zeros(3, np.int8))
    assert batch["x"].shape == (1, 3)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (2, 3, 1), (0, 3)])
def test_what_does_not_divide_is_left_to_the_port_to_refuse(shape):
    (batch,) = split_inputs([port()], np.zeros(shape, np.int8))
    with pytest.raises(DataError, match=r"of shape \[2,3\]"):
        port().encode(batch["x"])


def test_inputs_must_hold_equally_many_batches():
    ports = [port(), Port("z", "int8", (1, 3), type=TensorType((1, 3), I8))]
    arrays = {"x": np.zeros((4, 3), np.int8), "z": np.zeros((3, 3), np.int8)}
    with pytest.raises(DataError, match=r"inputs must hold equally many batches, not \{'x': 2, 'z': 3\}"):
        split_inputs(ports, arrays)


@pytest.mark.parametrize(
    ("one", "low", "high"),
    [
        (port((64, 3)), -128, 127),
        (Port("x", "float32", (64, 3), None, 0.5, 0, 4, type=TensorType((64, 3), U4)), -2.0, 5.5),
    ],
)
def test_random_inputs_cover_the_range_in_the_types_of_the_model(one, low, high):
    x = random_inputs([one], 3)["x"]
    assert x.dtype == one.model_dtype
    assert low <= x.min() < x.max() <= high
    assert float(x.max()) - float(x.min()) > 0.9 * (high - low)
    np.testing.assert_array_equal(x, random_inputs([one], 3)["x"])
    assert (x != random_inputs([one], 4)["x"]).any()
    one.encode(x)


def test_files_by_name_and_without(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.arange(3))
    np.testing.assert_array_equal(read_inputs([str(path)])[0], np.arange(3))
    assert set(read_inputs([f"a={path}", f"b={path}"])) == {"a", "b"}
    for given in (["a={}", "a={}"], ["{}", "b={}"], ["{}", "{}"]):
        with pytest.raises(DataError):
            read_inputs([text.format(path) for text in given])
