"""Pretrained QONNX networks: layers of 2 and 3 bits run as such in RTL, with the outputs of ONNX Runtime."""

import pytest
from tests.targets.bitfusion.machines import MACHINES

import gatewright
from gatewright.verify import VerifyOptions

SMALL = {name: getattr(MACHINES["4x8"], name) for name in MACHINES["4x8"].names()}


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("tfc_2w2a", ["2 x 2"] * 4),
        ("kwsmlp_w3a3", ["8 x 3 as 8 x 4", *["3 x 3 as 4 x 4"] * 3]),
    ],
)
def test_pretrained_networks(name, widths, shared_models):
    build = gatewright.compile(shared_models / "qonnx" / f"{name}.onnx", "bitfusion", SMALL)
    found = gatewright.verify(build, options=VerifyOptions(2))
    assert found.equal
    assert [layer["widths"] for layer in found.report["layers"]] == widths
    assert found.report["reference"] == {"mismatch_rate": 0.0, "max_steps": 0, "top1_equal": 1.0}
    assert abs(found.report["cycles"]["rtl"] - found.report["cycles"]["model"]) <= 50


def test_results_are_as_wide_as_a_network_needs(shared_models):
    """The second network's output is a sum."""
    for name, width in (("tfc_2w2a", 8), ("kwsmlp_w3a3", 16)):
        build = gatewright.compile(shared_models / "qonnx" / f"{name}.onnx", "bitfusion")
        assert build.config.result_width == width
