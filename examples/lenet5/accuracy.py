"""How accurate LeNet-5 is after quantisation to several widths, calibrated on 200 training images.

pip install gatewright[demo]
python examples/lenet5/accuracy.py
"""

from pathlib import Path

import digits
import onnx

from gatewright.quantize import QuantiseOptions, accuracy, parse_bits, quantise

CALIBRATION = 200


def main() -> None:
    """Print a Markdown table."""
    model = onnx.load(Path(__file__).with_name("lenet5.onnx"))
    train_x, _, test_x, test_y = digits.load()
    print("| quantisation | accuracy | signal to noise |\n|---|---|---|")
    print(f"| none (float) | {accuracy(model, test_x, test_y):.2%} | |")
    for bits in ("a8w8", "a8w4", "a4w4", "a3w3", "a8w2", "a2w2"):
        for name, scheme in (
            ("float scales", {}),
            ("power-of-two scales", {"scales": "pow2"}),
            ("power-of-two scales, free zero point", {"scales": "pow2", "symmetric_activations": False}),
        ):
            options = QuantiseOptions(*parse_bits(bits), **scheme)
            graph, report = quantise(model, train_x[:CALIBRATION], options)
            noise = report.outputs["scores"].sqnr_db
            print(f"| {bits}, {name} | {accuracy(graph, test_x, test_y):.2%} | {noise:.1f} dB |")


if __name__ == "__main__":
    main()
