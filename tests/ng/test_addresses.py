"""The address map: figures that NNgen 1.3.4 gives for the same script, its image bit for bit."""

import hashlib

import numpy as np
import pytest

import gatewright.ng as ng


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
    k = ng.constant([1, 2, 3, 4, 5] * 10, ng.int4, name="k")
    d = ng.add(m0, k, dtype=ng.int8, name="d")
    out = layer(ng.matmul, d, (10, 50), "out", transposed_b=True)
    return ng.expand_dims(out, 0, name="q")


# name: address, bytes, aligned shape, words, register, offset from there
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
    "k": (408576, 28, (56,), 8, 3, 404416),
    "out_w": (408640, 520, (10, 52), 4, 3, 404480),
    "out_b": (409216, 40, (10,), 2, 3, 405056),
    "out_s": (409280, 12, (12,), 4, 3, 405120),
    "out": (0, 12, (1, 12), 4, 1, 0),
    "q": (0, 12, (1, 1, 12), 4, 1, 0),
}
TEMPORARIES = 409344


def test_as_nngen():
    q = network()
    addresses = ng.address_map([q])
    addresses.assign()
    records = {record.name: record for record in addresses.records if record.name in NNGEN}
    found = {
        name: (
            records[name].addr,
            records[name].memory_size,
            records[name].aligned_shape,
            records[name].get_word_alignment(),
            records[name].global_index,
            records[name].default_local_addr,
        )
        for name in NNGEN
    }
    assert found == NNGEN
    assert addresses.temporaries == TEMPORARIES
    assert addresses.registers() == {132: TEMPORARIES, 136: 0, 140: 64, 144: 4160}
    assert records["out"].is_output
    assert not records["c0_w"].is_output


def test_the_image_is_that_of_nngen():
    image = ng.export_ndarray([network()])
    assert image.size == 405184
    assert hashlib.md5(image.tobytes()).hexdigest() == "0873ab1b1ff1368b45021b0170b194e7"


def test_the_image_holds_each_parameter_at_its_place():
    q = network()
    image = ng.export_ndarray(q)
    addresses = ng.address_map(q)
    for slot in addresses.slots:
        if slot.kind == "parameter":
            record, at = slot.record, slot.placement.local_addr
            found = ng.unpack(image[at : at + slot.size], record.shape, record.dtype, slot.alignment)
            np.testing.assert_array_equal(found, record.value)


def test_text():
    x = ng.placeholder(ng.int4, (1, 3), name="x")
    text = str(ng.address_map(ng.add(x, ng.constant([1, 2, 3], ng.int4), name="y")))
    assert text == (
        "[0-63] output add 'y' (size: 64, dtype: int4, shape: (1, 3), alignment: 8 words (4 bytes), "
        "aligned shape: (1, 8))\n"
        "[64-127] placeholder placeholder 'x' (size: 64, dtype: int4, shape: (1, 3), alignment: 8 words (4 bytes), "
        "aligned shape: (1, 8))\n"
        "[128-191] parameter unnamed constant (size: 64, dtype: int4, shape: (3,), alignment: 8 words (4 bytes), "
        "aligned shape: (8,))\n"
        "[192-] temporaries\n"
    )


def test_wider_buses_and_larger_chunks():
    addresses = ng.address_map(network(), {"maxi_datawidth": 128, "offchipram_chunk_bytes": 4096})
    assert [slot.placement.addr for slot in addresses.slots[:4]] == [0, 4096, 20480, 32768]
    assert addresses.slots[1].aligned_shape == (1, 32, 32, 16)


def test_each_parameter_may_have_a_register():
    addresses = ng.address_map(network(), {"use_map_reg": True})
    assert len(addresses.registers()) == 1 + len(addresses.slots)
    assert addresses.registers()[132 + 4 * 3] == NNGEN["c0_w"][0]
    assert addresses.registers()[132 + 4 * 4] == NNGEN["c0_b"][0]


def test_reshapes_that_move_nothing_share_a_place():
    x = ng.placeholder(ng.int8, (1, 2, 4), name="x")
    y = ng.relu(x, name="y")
    alias, copy = ng.reshape(y, (2, 4)), ng.reshape(y, (8, 1))
    addresses = ng.address_map([alias, copy])
    assert addresses.slot(alias).record is y
    assert addresses.slot(copy).record is copy
    assert ng.to_storage_dict(x, kept=x) == {"x": x, "kept": x}
    addresses.assign()
    assert (alias.addr, y.addr) == (0, 0)
    assert ng.to_storage_dict(y) == {"y": y}


def test_inner_tensors_have_no_address():
    x = ng.placeholder(ng.int8, (4,))
    inner = ng.relu(x)
    addresses = ng.address_map(ng.add(inner, x))
    with pytest.raises(ValueError, match="unnamed relu has no address: it must be an output, placeholder or parameter"):
        addresses.slot(inner)
    addresses.assign()
    assert inner.addr == -1
    assert inner.aligned_shape == (4,)
    with pytest.raises(ValueError, match="unnamed relu must be an input, parameter or output"):
        ng.to_storage_dict(inner)


def test_outputs_that_are_inputs_have_one_place():
    x = ng.placeholder(ng.int8, (4,), name="x")
    addresses = ng.address_map([x, ng.relu(x)])
    assert [(slot.kind, slot.placement.addr) for slot in addresses.slots] == [("output", 0), ("output", 64)]


def test_images_from_lists():
    q = network()
    ng.address_map(q).assign()
    records = ng.address_map(q).records
    variables = {record.name: record for record in records if isinstance(record, ng.variable)}
    constants = [record for record in records if isinstance(record, ng.constant)]
    np.testing.assert_array_equal(ng.make_ndarray(variables, constants), ng.export_ndarray(q))
    assert ng.make_ndarray([], []).size == 0
    with pytest.raises(ValueError, match="variables must be variables, not <constant k"):
        ng.make_ndarray(constants, [])


def test_parameters_without_a_value_are_zeros():
    v = ng.variable(ng.int8, (8,), name="v")
    image = ng.export_ndarray(ng.add(v, ng.placeholder(ng.int8, (8,))), chunk_size=16)
    assert image.tolist() == [0] * 16
