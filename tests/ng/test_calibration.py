"""Quantisation: the integers stand for the real numbers, nothing is cut off, little is lost."""

import numpy as np
import pytest

import gatewright.ng as ng

random = np.random.default_rng(0)


def variable(dtype, value, name):
    made = ng.variable(dtype, np.shape(value), name=name)
    made.set_value(np.asarray(value, float))
    return made


def decibels(exact, found):
    return 10 * np.log10(np.square(exact).sum() / np.square(found - exact).sum())


def real(record, **inputs):
    """The evaluated tensor in real numbers."""
    return ng.eval([record], **inputs)[0] / record.scale_factor


class Dense:
    """A random layer of 300 terms and 40 outputs, and its real numbers."""

    def __init__(self, act=None, scale=None, bits=8, scale_dtype=ng.int16, act_bits=8, result_bits=8):
        r = np.random.default_rng(1)
        self.w, self.b = r.normal(size=(40, 300)) * r.uniform(0.05, 1, (40, 1)), r.normal(size=40)
        self.s = np.ones(40) if scale is None else np.broadcast_to(scale, 40)
        self.x = ng.placeholder(ng.dtype_int(act_bits), (8, 300), name="x")
        self.one = 2 ** (act_bits - 2)
        vectors = {"bias": variable(ng.int32, self.b, "b")}
        if scale is not None:
            vectors["scale"] = variable(scale_dtype, scale, "s")
        self.y = ng.matmul(
            self.x,
            variable(ng.dtype_int(bits), self.w, "w"),
            transposed_b=True,
            dtype=ng.dtype_int(result_bits),
            act_func=act,
            **vectors,
        )
        self.image = np.clip(np.rint(r.normal(size=(8, 300)) * self.one / 3), -self.one * 2 + 1, self.one * 2 - 1)

    def exact(self, activation=lambda y: y):
        return activation((self.image / self.one @ self.w.T + self.b) * self.s)

    def quantise(self, **arguments):
        ng.quantize([self.y], {"x": self.one}, num_samples=4, **arguments)
        return self


@pytest.mark.parametrize("scale", [None, 1.0, np.linspace(0.1, 2, 40), np.linspace(-1, 1, 40)])
@pytest.mark.parametrize(
    ("act", "function"),
    [
        (None, lambda y: y),
        (ng.relu, lambda y: np.maximum(y, 0)),
        (ng.relu6, lambda y: np.clip(y, 0, 6)),
        (ng.get_leaky_relu_op(13, 7), lambda y: np.where(y > 0, y, y * 13 / 128)),
    ],
)
def test_a_layer(scale, act, function):
    scale = np.atleast_1d(scale) if isinstance(scale, float) else scale
    layer = Dense(act, scale).quantise()
    least = 30 if act is not ng.relu6 else 24  # the limit is a whole multiple of 6
    assert decibels(layer.exact(function), real(layer.y, x=layer.image)) > least


def test_wide_types_lose_little():
    layer = Dense(scale=np.ones(40), bits=16, act_bits=16, result_bits=16).quantise()
    assert decibels(layer.exact(), real(layer.y, x=layer.image)) > 75


@pytest.mark.parametrize(("bits", "least"), [(2, 3), (4, 12), (6, 24)])
def test_narrow_weights(bits, least):
    layer = Dense(scale=np.ones(40), bits=bits).quantise()
    assert decibels(layer.exact(), real(layer.y, x=layer.image)) > least


def test_filters_have_scales_of_their_own_where_these_are_wide_enough():
    found = {}
    for dtype in (ng.int8, ng.int16):
        layer = Dense(scale=np.ones(40), scale_dtype=dtype).quantise()
        found[dtype] = np.abs(layer.y.args[1].value).max(axis=1)
    assert found[ng.int8].min() < 50
    assert found[ng.int16].min() == 127


def test_results_use_the_whole_range_and_no_more():
    for scale in (None, np.ones(40)):
        layer = Dense(scale=scale).quantise()
        largest = np.abs(ng.eval([layer.y], x=layer.image)[0]).max()
        assert 45 < largest <= 127


def test_parameters_become_integers_in_their_types():
    layer = Dense(scale=np.ones(40), scale_dtype=ng.int8).quantise()
    for record in layer.y.args[1:]:
        assert record.value.dtype == np.int64
        assert record.quantized
    assert np.abs(layer.y.args[1].value).max() == 127
    np.testing.assert_allclose(layer.y.args[1].value / layer.y.args[1].scale_factor, layer.w, atol=0.02)
    assert 63 <= layer.y.scale.value.max() <= 127


def test_what_is_quantised_stays():
    layer = Dense(scale=np.ones(40)).quantise()
    before = [record.value.copy() for record in layer.y.args[1:]], layer.y.cshamt_out, layer.y.scale_factor
    layer.quantise()
    after = [record.value for record in layer.y.args[1:]], layer.y.cshamt_out, layer.y.scale_factor
    np.testing.assert_equal(before, after)


def test_a_bias_that_would_not_fit_scales_the_weights_down():
    x = ng.placeholder(ng.int8, (1, 2), name="x")
    w, b = variable(ng.int8, [[1.0, 0.5]], "w"), variable(ng.int8, [1.5], "b")
    y = ng.matmul(x, w, bias=b, transposed_b=True, dtype=ng.int8, name="y")
    ng.quantize(y, {"x": 32})
    assert b.value.tolist() == [127]
    assert w.value.tolist() == [[3, 1]]
    assert b.scale_factor == x.scale_factor * w.scale_factor


def test_shifts_that_are_tensors_stay():
    x, w = ng.placeholder(ng.int8, (1, 2), name="x"), variable(ng.int8, [[1.0, 0.5], [0.5, 1.0]], "w")
    shift = ng.constant([5, 6], ng.uint8)
    y = ng.matmul(x, w, transposed_b=True, rshift_out=shift, dtype=ng.int8)
    ng.quantize(y, {"x": 32})
    assert shift.value.tolist() == [5, 6]
    assert y.cshamt_out is None


def test_a_fused_sigmoid_sees_the_scale_of_the_sum():
    layer = Dense(ng.sigmoid).quantise()
    assert layer.y.scale_factor == round(128 * 0.95)
    exact = layer.exact(lambda y: 1 / (1 + np.exp(-y)))
    assert np.corrcoef(exact.ravel(), real(layer.y, x=layer.image).ravel())[0, 1] > 0.97


@pytest.mark.parametrize("b_factor", [0.3, 1.0, 4.0])
def test_scaled_add_joins_two_scales(b_factor):
    a, b = (ng.placeholder(ng.int8, (4, 200), name=name) for name in "ab")
    y = ng.scaled_add(a, b, 1, 1, 0, dtype=ng.int8)
    ng.quantize([y], {"a": 40, "b": 40 * b_factor}, num_samples=3)
    x = {
        name: np.clip(np.rint(random.normal(size=(4, 200)) * 40 * f / 3), -127, 127)
        for name, f in (("a", 1), ("b", b_factor))
    }
    exact = x["a"] / 40 + x["b"] / (40 * b_factor)
    assert decibels(exact, real(y, **x) + 0.5 / y.scale_factor) > 30


def test_scaled_multiply():
    a, b = (ng.placeholder(ng.int8, (4, 200), name=name) for name in "ab")
    y = ng.scaled_multiply(a, b, 0, dtype=ng.int8)
    ng.quantize([y], {"a": 40, "b": 30}, num_samples=3)
    x = {name: np.clip(np.rint(random.normal(size=(4, 200)) * 40 / 3), -127, 127) for name in "ab"}
    assert decibels(x["a"] / 40 * x["b"] / 30, real(y, **x) + 0.5 / y.scale_factor) > 20


def test_constants_take_the_scale_they_need():
    x = ng.placeholder(ng.int8, (2, 3), name="x")
    offset, factor = ng.constant([0.5, -0.25, 1.0], ng.int8), variable(ng.int8, [0.1, 0.2, -0.3], "f")
    total, product = ng.add(x, offset, dtype=ng.int16), ng.multiply(x, factor, dtype=ng.int16)
    joined = ng.concat([ng.cast(x, ng.int8), ng.full((1, 3), 1, ng.int8)], 0)
    amount = ng.constant([2], ng.int8)
    shifted = ng.rshift(x, amount)
    ng.quantize([total, product, joined, shifted], {"x": 64})
    assert offset.value.tolist() == [32, -16, 64]
    assert factor.value.tolist() == [42, 85, -127]
    assert product.scale_factor == 64 * factor.scale_factor
    assert joined.args[1].value.tolist() == [[64, 64, 64]]
    assert amount.value.tolist() == [2]
    assert shifted.scale_factor == 16


def test_scales_pass_through_what_does_not_change_them():
    x = ng.placeholder(ng.int8, (1, 4, 4, 2), name="x")
    kept = [
        ng.relu(x),
        ng.max_pool(x, (1, 2, 2, 1), (1, 2, 2, 1)),
        ng.avg_pool(x, (1, 2, 2, 1), (1, 2, 2, 1)),
        ng.reshape(x, (1, -1)),
        ng.transpose(x),
        ng.pad(x, 1),
        ng.clip(x, dtype=ng.int4),
        ng.reduce_sum(x, dtype=ng.int16),
        ng.reduce_max(x),
    ]
    index, curve = ng.argmax(x), ng.sigmoid(x)
    ng.quantize([*kept, index, curve], {"x": 50})
    assert [record.scale_factor for record in kept] == [50.0] * len(kept)
    assert (index.scale_factor, curve.scale_factor) == (1.0, 122.0)


def test_samples_may_be_given():
    x = ng.placeholder(ng.int8, (2, 3), name="x")
    y = ng.scaled_multiply(x, x, 0, dtype=ng.int8)
    asked = []

    def generate(record, count):
        asked.append((record, count))
        return np.full((2 * count, 3), 10)

    ng.quantize([y], {"x": 1}, input_generators={"x": generate}, num_samples=700)
    assert asked == [(x, 700)]
    assert y.shamt == 0
    assert y.eval(x=np.full((2, 3), 10)).max() == 100


def test_samples_follow_means_and_deviations():
    x = ng.placeholder(ng.int16, (1, 50, 50, 2), name="x")
    y = ng.scaled_multiply(x, x, 0, dtype=ng.int16)
    ng.quantize([y], {"x": 1}, {"x": [1000.0, -50.0]}, {"x": [1.0, 1.0]})
    assert y.shamt == 5  # 1000^2 in 15 bits


def test_an_input_with_a_value_is_its_own_sample():
    x = ng.placeholder(ng.int8, (1, 4), name="x")
    x.set_value([1, 2, 3, 4])
    y = ng.scaled_multiply(x, x, 0, dtype=ng.int8)
    ng.quantize([y], {})
    assert y.shamt == 0


def test_progress_is_printed(capsys):
    Dense().quantise(verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "<placeholder x dtype:int8 shape:(8, 300)> scale_factor:64"
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "input_scale_factors must have a number for placeholder 'x'"),
        (({"x": 0},), r"scale factor of placeholder 'x' must be a positive number, not 0"),
        (([64],), r"input_factors must be a mapping by name, not \[64\]"),
        (({"x": 1}, None, None, None, 0), "num_samples must be at least 1, not 0"),
        (
            ({"x": 1}, None, None, {"x": lambda record, count: np.zeros(3)}),
            r"samples of placeholder 'x' must have shape \(8, 300\), not \(3,\)",
        ),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ng.quantize([Dense().y], *arguments)


def test_variables_need_a_value():
    x, w = ng.placeholder(ng.int8, (1, 2), name="x"), ng.variable(ng.int8, (3, 2), name="w")
    with pytest.raises(ValueError, match="variable 'w' must have a value to be quantised"):
        ng.quantize(ng.matmul(x, w, transposed_b=True), {"x": 1})
