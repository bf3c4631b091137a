"""Programs survive their files, and say what is wrong with broken ones."""

import dataclasses
import json

import numpy as np
import pytest

from gatewright.errors import DataError, ProgramError
from gatewright.ir import I8, U4, HostStep, Port, TensorType
from gatewright.program import Binding, LayerInfo, Program, Region


def make_program() -> Program:
    image = TensorType((1, 4, 4, 3), I8)
    scores = TensorType((1, 10), I8)
    tail = (HostStep("dequantize", scale=0.5, zero_point=3), HostStep("argmax"))
    return Program(
        name="net",
        target="fake",
        config={"lanes": 4, "fast": True},
        config_digest=0x1234ABCD,
        instruction_count=2,
        regions=(
            Region("program", "program", 64, bytes(range(64))),
            Region("constants", "constants", 100, b"weights"),
            Region("input", "input", 64),
            Region("output", "output", 16),
        ),
        inputs=(
            Binding("x", 2, 8, image, Port("image", "uint8", (1, 3, 4, 4), (0, 2, 3, 1), 0.1, 128, 0, type=image)),
        ),
        outputs=(Binding("y", 3, 0, scores, Port("digit", "int64", (1, 10), tail=tail, type=scores)),),
        layers=(LayerInfo("y", "conv2d+requantise", 1000, 16),),
    )


def test_load_is_the_inverse_of_save(tmp_path):
    program = make_program()
    program.save(tmp_path)
    assert Program.load(tmp_path) == program


def test_files_are_the_same_each_time(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        make_program().save(tmp_path / name)
    for file in ("program.json", "program.bin"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_changed_image_is_refused(tmp_path):
    make_program().save(tmp_path)
    data = bytearray((tmp_path / "program.bin").read_bytes())
    data[3] ^= 1
    (tmp_path / "program.bin").write_bytes(data)
    with pytest.raises(ProgramError, match=r"program\.bin is damaged"):
        Program.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "something"}, "must be a 'gatewright program' file"),
        ({"version": 99}, "must be of version 2, not 99"),
        ({"regions": []}, "region 0 must be of kind 'program'"),
        ({"layers": [{"name": "x"}]}, "is damaged"),
    ],
)
def test_a_broken_description_is_refused(tmp_path, change, message):
    make_program().save(tmp_path)
    path = tmp_path / "program.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ProgramError, match=message):
        Program.load(tmp_path)


def test_a_missing_or_truncated_file_is_refused(tmp_path):
    with pytest.raises(ProgramError, match=r"Cannot read the program in .*program\.json: no such file or directory$"):
        Program.load(tmp_path)
    (tmp_path / "program.json").write_text('{"format": ')
    with pytest.raises(ProgramError, match="Cannot read the program"):
        Program.load(tmp_path)


def test_bindings_must_lie_in_their_region():
    program = make_program()
    outside = dataclasses.replace(program.inputs[0], offset=20)
    with pytest.raises(ProgramError, match=r"'x' must lie within the 64 bytes of region 'input', not at 20\.\.68"):
        dataclasses.replace(program, inputs=(outside,))
    nowhere = dataclasses.replace(program.inputs[0], region=9)
    with pytest.raises(ProgramError, match="in one of 4 regions, not in region 9"):
        dataclasses.replace(program, inputs=(nowhere,))


def test_regions_hold_their_data():
    with pytest.raises(ProgramError, match="must fit its 2 bytes, not have 3"):
        Region("constants", "constants", 2, b"abc")
    with pytest.raises(ProgramError, match="kind of region 'x' must be one of"):
        Region("x", "cache", 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [I8, U4])
def test_unpack_is_the_inverse_of_pack(dtype):
    binding = Binding("x", 0, 0, TensorType((2, 3), dtype))
    array = np.arange(dtype.max - 5, dtype.max + 1, dtype=dtype.storage).reshape(2, 3)
    unpacked = binding.unpack(binding.pack(array))
    assert unpacked.dtype == array.dtype
    np.testing.assert_array_equal(unpacked, array)


def test_pack_refuses_what_does_not_fit():
    binding = Binding("x", 0, 0, TensorType((2,), I8))
    with pytest.raises(DataError, match=r"'x' must be integers i8\[2\], not int64\[3\]"):
        binding.pack(np.zeros(3, np.int64))
    with pytest.raises(DataError, match=r"'x' must be within i8, not 0\.\.200"):
        binding.pack(np.array([0, 200]))


def test_encode_and_decode_go_through_the_ports():
    program = make_program()
    image = np.full((1, 3, 4, 4), 130, np.uint8)
    (encoded,) = program.encode(image)
    assert encoded.shape == (1, 4, 4, 3)
    assert (encoded == 2).all()
    scores = np.zeros((1, 10), np.int8)
    scores[0, 7] = 5
    assert program.decode({"y": scores}) == {"digit": np.array([7])}


@pytest.mark.parametrize("given", [{}, {"x": np.zeros(1)}, [np.zeros(1), np.zeros(1)]])
def test_encode_names_the_inputs_it_wants(given):
    with pytest.raises(DataError, match="image"):
        make_program().encode(given)


def test_rows_with_gaps_are_packed_and_unpacked():
    values = np.arange(-6, 6, dtype=np.int8).reshape(1, 2, 2, 3)
    binding = Binding("x", 1, 0, TensorType(values.shape, I8), row_bytes=3, row_pitch=4)
    data = binding.pack(values)
    assert (binding.dense_size, binding.size, len(data)) == (12, 16, 16)
    assert data[3::4] == bytes(4)
    noise = np.frombuffer(data, np.uint8).copy()
    noise[3::4] = 0xEE
    np.testing.assert_array_equal(binding.unpack(noise), values)


def test_unsigned_bytes_hold_128_more():
    values = np.array([-128, -1, 0, 127], np.int8)
    binding = Binding("x", 1, 0, TensorType((4,), I8), unsigned=True)
    assert list(binding.pack(values)) == [0, 127, 128, 255]
    np.testing.assert_array_equal(binding.unpack(binding.pack(values)), values)
