"""Element types."""

import pytest

import gatewright.ng as ng


def test_types_are_values():
    assert ng.int8 == ng.dtype_int(8) == ng.dtype_info("int", 8) == ng.dtype_info("int", 8, 0, True)
    assert len({ng.int8, ng.dtype_int(8), ng.uint8}) == 2
    assert ng.dtype_int() == ng.int32


@pytest.mark.parametrize("bits", [2, 4, 8, 16, 32, 64])
def test_constants(bits):
    signed, unsigned = getattr(ng, f"int{bits}"), getattr(ng, f"uint{bits}")
    assert (signed.base, signed.width, signed.point, signed.signed) == ("int", bits, 0, True)
    assert (unsigned.width, unsigned.signed) == (bits, False)
    assert (signed.to_str(), unsigned.to_str()) == (f"int{bits}", f"uint{bits}")
    assert signed.wordsize == max(bits // 8, 1)
    assert str(unsigned) == f"<dtype uint{bits}>"


def test_the_narrowest():
    assert (ng.uint1.width, ng.uint1.signed) == (1, False)
    assert not hasattr(ng, "int1")


def test_the_widest_of_several():
    tensors = [ng.placeholder(dtype, (1,)) for dtype in (ng.uint8, ng.int4, ng.uint16)]
    assert ng.get_max_dtype(*tensors) == ng.int16
    assert ng.get_max_dtype(tensors[0], tensors[2]) == ng.uint16
    assert ng.get_max_dtype(ng.constant([1]), tensors[0]) == ng.uint8
    assert ng.get_max_dtype(ng.constant([1])) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("float", 8), "base must be 'int', not 'float'"),
        (("int", 8, 4), "point of an integer type must be 0, not 4"),
        (("int", 0), "width must be between 1 and 64, not 0"),
        (("int", 65), "width must be between 1 and 64, not 65"),
    ],
)
def test_impossible_types(arguments, message):
    with pytest.raises(ValueError, match=message):
        ng.dtype_info(*arguments)


def test_fixed_point_is_not_there():
    with pytest.raises(ng.NotThereError, match=r"fixed point types are not in gatewright\.ng yet"):
        ng.dtype_info("fixed", 16, 8)
