"""`attribute`: wishes that change alignment and hardware, never a result."""

import pytest

import gatewright.ng as ng


def layer(**arguments):
    x, w, b = (ng.placeholder(ng.int8, (1, 4, 4, 2)), ng.variable(ng.int8, (8, 3, 3, 2)), ng.variable(ng.int32, (8,)))
    return x, w, b, ng.conv2d(x, w, (1, 1, 1, 1), bias=b, dtype=ng.int8, **arguments)


def product(**arguments):
    a, b = ng.placeholder(ng.int8, (1, 4)), ng.variable(ng.int8, (8, 4))
    return a, b, ng.matmul(a, b, transposed_b=True, **arguments)


def test_parallelism_aligns():
    x, w, b, y = layer()
    y.attribute(par_ich=8, par_och=2, par_col=3)
    assert (x.word_alignment, w.word_alignment, b.word_alignment, y.word_alignment) == (8, 8, 2, 2)
    assert y.asked == {"par_ich": 8, "par_och": 2, "par_col": 3}
    assert (y.par_ich, y.par_och, y.par_col, y.par_row) == (8, 2, 3, 1)


def test_the_constructor_takes_the_same():
    _, _, _, y = layer(par_ich=4, concur_och=8, stationary="act", filter_ram_size=64)
    assert y.asked == {"par_ich": 4, "concur_och": 8, "stationary": "input", "filter_ram_size": 64}


def test_by_position():
    _, _, _, y = layer()
    y.attribute(None, 1, 2, 4)
    assert (y.cshamt_mul, y.cshamt_sum, y.cshamt_out, y.par_ich) == (None, 1, 2, 4)
    assert y.asked == {"par_ich": 4}


def test_products_have_names_of_their_own():
    a, b, y = product(par_left_col=2, left_ram_size=16)
    y.attribute(par_out_col=4, concur_out_col=8, stationary="left", disable_keep_left=True)
    expected = {"par_ich": 2, "input_ram_size": 16, "par_och": 4, "concur_och": 8, "stationary": "input"}
    assert y.asked == expected | {"disable_keep_input": True}
    assert (y.par_left_col, y.par_ich, y.par_out_col, y.par_och) == (2, 2, 4, 4)
    assert (a.word_alignment, b.word_alignment, y.word_alignment) == (2, 2, 4)


def test_products_answer_to_the_names_of_convolutions():
    _, _, y = product()
    y.attribute(par_ich=2, par_och=4, par_col=1, par_row=2, concur_och=4)
    assert (y.par_left_col, y.par_out_col, y.concur_out_col) == (2, 4, 4)
    assert "par_row" not in y.asked


def test_elementwise():
    x = ng.placeholder(ng.int8, (4,))
    y = ng.relu(x)
    y.attribute(4)
    y.attribute(par=None)
    assert (y.par, y.asked, x.word_alignment, y.word_alignment) == (4, {"par": 4}, 4, 4)


def test_alignment_reaches_through_views_and_reshapes():
    x = ng.placeholder(ng.int8, (2, 4))
    y = ng.expand_dims(ng.reshape(x, (8,)), 0)
    ng.relu(y, par=8)
    assert (y.word_alignment, x.word_alignment) == (8, 8)
    assert x.consumers[0].consumers[0] is y


@pytest.mark.parametrize(
    ("hints", "message"),
    [
        ({"par_ich": 3}, "par_ich must be a power of 2, not 3"),
        ({"par_och": 0}, "par_och must be a power of 2, not 0"),
        ({"par_col": 0}, "par_col must be at least 1, not 0"),
        ({"par_och": 4, "concur_och": 6}, r"concur_och must be a multiple of par_och \(4\), not 6"),
        ({"stationary": "bias"}, "stationary must be one of filter, weight, right, input, act, left, not 'bias'"),
        ({"out_ram_size": 0}, "out_ram_size must be at least 1, not 0"),
        ({"cshamt_out": -1}, "cshamt_out must be a whole number from 0 to 63, not -1"),
        ({"speed": 1}, r"attributes of unnamed conv2d must be among cshamt_mul, .*, not \['speed'\]"),
    ],
)
def test_impossible_wishes(hints, message):
    with pytest.raises(ValueError, match=message):
        layer()[3].attribute(**hints)


@pytest.mark.parametrize("make", [lambda x: ng.reshape(x, (4,)), lambda x: ng.transpose(x), lambda x: x])
def test_what_has_no_attributes(make):
    record = make(ng.placeholder(ng.int8, (4,)))
    record.attribute()
    with pytest.raises(ValueError, match="attributes"):
        record.attribute(par=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strides": (1, 1)}, r"strides must be \(1, rows, columns, 1\), not \(1, 1\)"),
        ({"filter": ng.variable(ng.int8, (8, 3, 3, 5))}, "filter must have 2 input channels, not 5"),
        ({"filter": ng.variable(ng.int8, (8, 2))}, r"input must be \(N, H, W, C\) and filter \(O, H, W, I\)"),
        ({"bias": ng.variable(ng.int8, (3,))}, r"bias must be a tensor of shape \(1,\) or \(8,\), not <variable"),
        ({"scale": 3}, r"scale must be a tensor of shape \(1,\) or \(8,\), not 3"),
        ({"rshift_out": 64}, "rshift_out must be a whole number from 0 to 63, not 64"),
        ({"rshift_sum": 1.5}, "rshift_sum must be a whole number from 0 to 63, not 1.5"),
        ({"act_func": "relu"}, "act_func must be a class such as ng.relu, not 'relu'"),
        ({"act_func": ng.add}, "act_func must be a class such as ng.relu, not <class"),
        ({"padding": (1, 2, 3)}, "padding must be 'SAME', 'VALID', a number, or"),
        ({"padding": -1}, "padding must be 'SAME', 'VALID', a number, or"),
        ({"out_shape": (3, 8)}, r"out_shape must hold \(1, 4, 4, 8\) with the same last axis, not \(3, 8\)"),
    ],
)
def test_impossible_layers(arguments, message):
    plain = {"filter": ng.variable(ng.int8, (8, 3, 3, 2)), "strides": (1, 1, 1, 1)}
    with pytest.raises(ValueError, match=message):
        ng.conv2d(ng.placeholder(ng.int8, (1, 4, 4, 2)), **(plain | arguments))


def test_impossible_products():
    a = ng.placeholder(ng.int8, (1, 4))
    with pytest.raises(ValueError, match="a and b must have the same number of terms, not 4 and 3"):
        ng.matmul(a, ng.variable(ng.int8, (2, 3)), transposed_b=True)
    with pytest.raises(ValueError, match="b must have 2 axes, not 3"):
        ng.matmul(a, ng.variable(ng.int8, (2, 2, 4)))


def test_parameters_must_be_known():
    x, w = ng.placeholder(ng.int8, (1, 1, 1, 1), name="x"), ng.variable(ng.int8, (1, 1, 1, 1), name="w")
    w.set_value([1])
    y = ng.conv2d(x, w, (1, 1, 1, 1), bias=ng.placeholder(ng.int8, (1,), name="b"), name="y")
    with pytest.raises(ValueError, match="conv2d 'y': bias must be a variable or constant, not <placeholder b"):
        ng.eval([y], x=[1], b=[1])
