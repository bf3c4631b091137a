"""Layers are named as in the model, whatever converters make of the names."""

import pytest

from gatewright.frontends.onnx.names import layer_name

SHARED_ZEROS = (
    "model/activation/Relu;model/batch_normalization/FusedBatchNormV3;model/conv2d/BiasAdd/ReadVariableOp/resource;"
    "model/conv2d/BiasAdd;model/conv2d_2/Conv2D;model/conv2d/Conv2D1_prequant"
)


@pytest.mark.parametrize(
    ("name", "weights", "layer"),
    [
        ("/features/conv1/Conv", "features.conv1.weight", "/features/conv1/Conv"),
        ("dense/BiasAdd", "dense/MatMul", "dense/BiasAdd"),
        (SHARED_ZEROS, "model/conv2d/Conv2D_dequant", "conv2d"),
        ("model/block/conv/BiasAdd;model/block/conv/Conv2D", "w", "block/conv"),
        ("model/activation/Relu;model/conv2d/Conv2D", "model/conv2d/Conv2D_dequant__12", "conv2d"),
        ("Identity_prequant", "functional_1/dense_9/MatMul_dequant", "dense_9"),
        ("model/dw/depthwise;model/bn/FusedBatchNormV3", "model/dw/depthwise;model/bn/FusedBatchNormV3", "dw"),
        ("one;other", "weights", "one;other"),
    ],
)
def test_names_that_were_joined_become_those_of_the_layer(name: str, weights: str, layer: str) -> None:
    assert layer_name(name, weights) == layer
