"""What `import gatewright.ng` offers."""

import inspect

import pytest

import gatewright.ng as ng

# Of NNgen, in the words of its documentation: operators first, then what surrounds them.
THERE = (
    "conv2d matmul max_pool max_pool_serial avg_pool avg_pool_serial relu relu6 leaky_relu get_leaky_relu_op sigmoid",
    "add sub multiply scaled_add scaled_multiply clip rshift rshift_round concat reshape transpose expand_dims cast",
    "pad slice_ upsampling2d reduce_sum reduce_max argmax placeholder variable constant zeros ones full zeros_like",
    "ones_like full_like zeros_imm ones_imm full_imm zeros_imm_like ones_imm_like full_imm_like dtype_info dtype_int",
    "get_max_dtype eval quantize from_onnx export_ndarray to_verilog to_ipxact to_veriloggen",
    "Simulation simulate memory_options set_memory address_map Accelerator",
)


@pytest.mark.parametrize("name", " ".join(THERE).split())
def test_is_there_and_documented(name):
    assert name in ng.__all__
    assert getattr(ng, name).__doc__


@pytest.mark.parametrize("name", ["div", "neg", "exp", "normalize", "extern", "binary_weight_conv2d", "verify"])
def test_what_is_not_there_says_so(name):
    with pytest.raises(ng.NotThereError, match=rf"gatewright\.ng\.{name} is not there yet"):
        getattr(ng, name)
    assert not hasattr(ng, name)


def test_other_names_are_unknown():
    with pytest.raises(AttributeError, match=r"module 'gatewright\.ng' has no attribute 'convolution'"):
        _ = ng.convolution


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (
            ng.conv2d,
            """input filter strides bias scale rshift_mul rshift_sum rshift_out act_func padding asymmetric_clip dtype
            mul_dtype sum_dtype name par_ich par_och par_col par_row concur_och stationary input_ram_size
            filter_ram_size bias_ram_size scale_ram_size vshamt_mul_ram_size vshamt_sum_ram_size vshamt_out_ram_size
            out_ram_size disable_keep_input input_shape filter_shape out_shape""",
        ),
        (
            ng.matmul,
            """a b bias scale transposed_a transposed_b rshift_mul rshift_sum rshift_out act_func asymmetric_clip dtype
            mul_dtype sum_dtype name par_left_col par_left_row par_out_col concur_out_col stationary left_ram_size
            right_ram_size bias_ram_size scale_ram_size vshamt_mul_ram_size vshamt_sum_ram_size vshamt_out_ram_size
            out_ram_size disable_keep_left""",
        ),
        (ng.max_pool, "value ksize strides padding dtype name par value_ram_size out_ram_size"),
        (
            ng.avg_pool_serial,
            "value ksize strides padding dtype sum_dtype name par force_div value_ram_size out_ram_size",
        ),
        (ng.relu6, "features dtype name par"),
        (ng.leaky_relu, "features slope rshift dtype name par"),
        (ng.sigmoid, "features lut_addrwidth lut_clip range_rate dtype name par"),
        (ng.rshift_round, "x y dtype name par"),
        (ng.clip, "x asymmetric_clip dtype name par"),
        (ng.scaled_add, "a b a_scale b_scale shamt asymmetric_clip dtype sum_dtype name par"),
        (ng.scaled_multiply, "a b shamt asymmetric_clip dtype mul_dtype name par"),
        (ng.reduce_sum, "input_tensor axis keep_dims dtype name par"),
        (ng.reduce_max, "input_tensor dtype shape name axis keep_dims par"),
        (ng.argmax, "input_tensor axis keep_dims dtype name par"),
        (ng.slice_, "value begins ends strides dtype name par value_ram_size out_ram_size"),
        (ng.pad, "value padding dtype name par value_ram_size out_ram_size"),
        (ng.to_verilog, "objs name filename config silent"),
        (ng.to_ipxact, "objs name ipname config silent"),
        (ng.to_veriloggen, "objs name config silent"),
        (ng.export_ndarray, "objs chunk_size"),
        (ng.quantize, "outputs input_scale_factors input_means input_stds input_generators num_samples verbose"),
        (
            ng.from_onnx,
            """filename value_dtypes value_shapes default_placeholder_dtype default_variable_dtype
            default_constant_dtype default_operator_dtype default_scale_dtype default_bias_dtype onnx_input_layout
            onnx_filter_layout disable_fusion verbose""",
        ),
    ],
)
def test_arguments_are_those_of_nngen_in_its_order(function, parameters):
    assert list(inspect.signature(function).parameters) == parameters.split()


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (ng.pix_size(7, 3, 2), 4),
        (ng.pix_size(7, 3, 2, "VALID"), 3),
        (ng.pad_size(7, 3, 2), 2),
        (ng.pad_size_split(4, 3, 2), (1, 0, 1)),
        (ng.to_axis(-1, 4), (3,)),
        (ng.to_axis((0, -2), 4), (0, 2)),
        (ng.to_axis(None, 4), None),
        (ng.to_reduce_shape((2, 3), (1,)), (2,)),
        (ng.to_reduce_shape((2, 3), None, True), (1, 1)),
        (ng.to_reduce_shape((2, 3)), (1,)),
        (ng.clip_threshold(8, True), (127, -127)),
        (ng.clip_threshold(8, True, True), (127, -128)),
        (ng.clip_threshold(8, False), (255, 0)),
        (ng.aligned_size(65, 64), 128),
    ],
)
def test_utilities(found, expected):
    assert found == expected
