"""The address map: figures that NNgen 1.3.4 gives for the same script, its image bit for bit."""

import numpy as np
import pytest

import gatewright.ng as ng
from gatewright.ng import memory
from gatewright.ng.records import closure


def layer(kind, x, shape, name, **options):
    """A layer whose parameters are the same under both packages."""
    tensors = [
        ng.variable(dtype, size, name=f"{name}_{part}")
        for part, dtype, size in (("w", ng.int8, shape), ("b", ng.int32, shape[:1]), ("s", ng.int8, shape[:1]))
    ]
    for tensor in tensors:
        random = np.random.RandomState(len(name) + tensor.length)
        tensor.set_value(random.randint(-100, 100, tensor.shape).astype(np.int64))
    w, b, s = tensors
    y = kind(x, w, bias=b, scale=s, dtype=ng.int8, sum_dtype=ng.int32, name=name, **options)
    y.attribute(par_ich=2, par_och=2, cshamt_out=12)
    return y


def network():
    image = ng.placeholder(ng.int8, (1, 32, 32, 3), name="image")
    c0 = layer(ng.conv2d, image, (64, 3, 3, 3), "c0", strides=(1, 1, 1, 1), act_func=ng.relu)
    pool = ng.max_pool_serial(c0, (1, 2, 2, 1), (1, 2, 2, 1))
    pool.attribute(par=2)
    c1 = layer(ng.conv2d, pool, (30, 3, 3, 64), "c1", strides=(1, 1, 1, 1), act_func=ng.relu)
    flat = ng.reshape(c1, [1, -1])
    m0 = layer(ng.matmul, flat, (50, 16 * 16 * 30), "m0", transposed_b=True, act_func=ng.relu)
    k = ng.constant([1, 2, 3, 4, 5] * 10, ng.int4)
    d = ng.add(m0, k, dtype=ng.int8, name="d")
    out = layer(ng.matmul, d, (10, 50), "out", transposed_b=True)
    return ng.expand_dims(out, 0, name="q")


# name: address, bytes, aligned shape, words, register, offset from there; parameters lie elsewhere here
NNGEN = {
    "image": (64, 4096, (1, 32, 32, 4), 4, 2, 0),
    "c0_w": (4160, 2304, (64, 3, 3, 4), 4, 3, 0),
    "c0_b": (6464, 256, (64,), 2, 3, 2304),
    "c0_s": (6720, 64, (64,), 4, 3, 2560),
    "c1_w": (6784, 17280, (30, 3, 3, 64), 4, 3, 2624),
    "c1_b": (24064, 120, (30,), 2, 3, 19904),
    "c1_s": (24192, 32, (32,), 4, 3, 20032),
    "m0_w": (24256, 384000, (50, 7680), 4, 3, 20096),
    "m0_b": (408256, 200, (50,), 2, 3, 404096),
    "m0_s": (408512, 52, (52,), 4, 3, 404352),
    "out_w": (408640, 520, (10, 52), 4, 3, 404480),
    "out_b": (409216, 40, (10,), 2, 3, 405056),
    "out_s": (409280, 12, (12,), 4, 3, 405120),
    "out": (0, 12, (1, 12), 4, 1, 0),
    "q": (0, 12, (1, 1, 12), 4, 1, 0),
}


def test_rows_are_aligned_as_nngen_aligns_them():
    figures = (memory.memory_size, memory.aligned_shape, memory.word_alignment)
    records = [record for record in closure([network()]) if record.name in NNGEN]
    found = {record.name: tuple(figure(record, 32) for figure in figures) for record in records}
    assert found == {name: figures[1:4] for name, figures in NNGEN.items()}


@pytest.fixture(scope="module")
def small():
    """Two outputs, one behind a view; two inputs; hints."""
    x = ng.placeholder(ng.int8, (1, 4, 6, 3), name="x")
    weights, bias = ng.variable(ng.int8, (6, 3, 3, 3), name="w"), ng.variable(ng.int32, (6,), name="b")
    weights.set_value(np.random.default_rng(0).integers(-99, 99, weights.shape))
    bias.set_value(np.arange(6))
    y = ng.conv2d(x, weights, (1, 1, 1, 1), bias=bias, rshift_out=8, dtype=ng.int8, name="y")
    y.attribute(par_ich=2, par_och=8)
    z = ng.placeholder(ng.int8, (5,), name="z")
    q = ng.expand_dims(ng.relu(z, name="r"), 0, name="q")
    return {each.name: each for each in (x, weights, bias, y, z, q, q.args[0])}


@pytest.fixture(scope="module")
def accelerator(small):
    return ng.to_veriloggen([small["y"], small["q"]], "little", silent=True)


def test_outputs_come_first_then_inputs_parameters_and_temporaries(small, accelerator):
    assert {name: small[name].addr for name in "yqrxzwb"} == {
        "y": 0, "q": 192, "r": 192, "x": 256, "z": 384, "w": 448, "b": 448
    }  # fmt: skip
    addresses = accelerator.addresses
    assert addresses.parameters.address == 448
    assert addresses.temporaries.address == addresses.parameters.address + addresses.parameters.size
    assert addresses.size == addresses.temporaries.address + addresses.temporaries.size
    assert {name: small[name].global_index for name in "yqxzwb"} == {"y": 1, "q": 2, "x": 3, "z": 4, "w": 5, "b": 5}


def test_records_know_their_rows(small, accelerator):
    assert (small["x"].aligned_shape, small["x"].memory_size, small["x"].get_word_alignment()) == ((1, 4, 6, 4), 96, 4)
    assert (small["y"].aligned_shape, small["y"].memory_size, small["y"].get_word_alignment()) == ((1, 4, 6, 8), 192, 8)
    assert (small["q"].aligned_shape, small["r"].aligned_shape) == ((1, 8), (8,))
    assert (small["y"].is_output, small["r"].is_output, small["x"].is_output) == (True, True, False)


def test_registers(small, accelerator):
    addresses = accelerator.addresses
    bases = [addresses.temporaries.address, 0, 192, 256, 384, 448]
    assert addresses.registers() == dict(zip(range(132, 156, 4), bases, strict=True))
    assert accelerator.registers["BASE"].initial == tuple(bases)
    older = ng.address_map([small["q"]], {"register_map": "1.0"})
    assert list(older.registers()) == [40, 44, 48, 52]


def test_the_log_has_the_same_map(small, accelerator):
    rows = {row.name or row.kind: row for row in accelerator.log.memory_map}
    for name in ("y", "x", "z"):
        assert rows[name].first == small[name].addr
        assert rows[name].aligned_shape == small[name].aligned_shape
    assert rows["r"].base == "register 140"
    assert rows["variables and constants"].first == 448
    for line in str(accelerator.addresses).splitlines():
        assert line.startswith("[")


def test_text(accelerator):
    assert str(accelerator.addresses).splitlines()[0] == (
        "[0-191] output conv2d 'y' (size: 192, dtype: int8, shape: (1, 4, 6, 6), alignment: 8 words (8 bytes), "
        "aligned shape: (1, 4, 6, 8))"
    )


def test_wider_buses_and_larger_chunks(small):
    addresses = ng.address_map([small["y"]], {"maxi_datawidth": 128, "offchipram_chunk_bytes": 4096})
    assert [slot.placement.addr for slot in addresses.slots] == [0, 4096]
    assert addresses.slots[1].aligned_shape == (1, 4, 6, 16)


def test_inner_tensors_have_no_address():
    x = ng.placeholder(ng.int8, (4,), name="x")
    inner = ng.relu(x)
    accelerator = ng.to_veriloggen([ng.add(inner, x, name="y")], "inner", silent=True)
    with pytest.raises(ValueError, match="unnamed relu has no place of its own: it must be an output or placeholder"):
        accelerator.addresses.slot(inner)
    assert inner.addr == -1
    assert inner.aligned_shape == (4,)
    with pytest.raises(ValueError, match="unnamed relu must be an input, parameter or output"):
        ng.to_storage_dict(inner)
    assert ng.to_storage_dict(x, kept=x) == {"x": x, "kept": x}


def test_the_image_is_that_of_the_program(small, accelerator):
    image = ng.export_ndarray([small["y"]])
    assert image.dtype == np.uint8
    assert image.size == accelerator.addresses.parameters.size
    (region,) = [region for region in accelerator.program.regions if region.kind == "constants"]
    assert image[: len(region.data)].tobytes() == region.data
    assert ng.export_ndarray([small["y"]], chunk_size=4096).size == 4096
    np.testing.assert_array_equal(ng.make_ndarray({"w": small["w"]}, []), image)
    assert ng.make_ndarray([], []).size == 0


def test_images_that_cannot_be():
    x = ng.placeholder(ng.int8, (4,), name="x")
    v = ng.variable(ng.int8, (4,), name="v")
    v.set_value([1, 2, 3, 4])
    y = ng.concat([x, v], 0, name="y")
    with pytest.raises(ValueError, match="concat 'y' must be part of an accelerator: call to_verilog or to_ipxact"):
        ng.export_ndarray(y)
    with pytest.raises(ValueError, match="variables must be variables, not <placeholder x"):
        ng.make_ndarray([x], [])


def test_values_must_stay_those_of_the_accelerator():
    x = ng.placeholder(ng.int8, (1, 4), name="x")
    w = ng.variable(ng.int8, (4, 4), name="w")
    w.set_value(np.arange(16))
    y = ng.matmul(x, w, transposed_b=True, rshift_out=3, dtype=ng.int8, name="y")
    ng.to_veriloggen(y, "once", silent=True)
    assert ng.export_ndarray(y).any()
    w.set_value(-np.arange(16))
    with pytest.raises(ValueError, match="values of variable 'w' must be those of once: make it again"):
        ng.export_ndarray(y)


def test_unsigned_bytes_lie_in_memory_as_they_are():
    x = ng.placeholder(ng.uint8, (4,), name="x")
    accelerator = ng.to_veriloggen(ng.relu(x, name="y"), "bytes_only", silent=True)
    rows = {row.name: row.dtype for row in accelerator.log.memory_map}
    assert (rows["x"], rows["y"]) == ("uint8", "uint8")
    assert accelerator.addresses.slot(x).pack([0, 1, 128, 255])[:4].tolist() == [0, 1, 128, 255]


def test_what_the_log_says_of_narrow_unsigned_tensors():
    """They lie in memory as the machine has them: signed."""
    x = ng.placeholder(ng.uint4, (4,), name="x")
    accelerator = ng.to_veriloggen(ng.relu(x, name="y"), "narrow", silent=True)
    rows = {row.name: row.dtype for row in accelerator.log.memory_map}
    assert (rows["x"], rows["y"]) == ("uint4 -8", "uint4 -8")
    assert accelerator.addresses.slot(x).pack([0, 1, 8, 15])[:4].tolist() == [248, 249, 0, 7]


def test_rows_of_the_binding_are_those_of_the_records(small, accelerator):
    """What the machine reads and writes is what the records' alignment says."""
    for name in ("x", "y", "z", "q"):
        record, slot = small[name], accelerator.addresses.slot(small[name])
        value = np.arange(record.size).reshape(record.shape) % 100
        expected = ng.pack(value, record.dtype, record.get_word_alignment())
        np.testing.assert_array_equal(slot.pack(value), expected)
        np.testing.assert_array_equal(slot.unpack(expected).reshape(record.shape), value)
        assert record.memory_size == expected.size <= slot.size
