"""Names of layers: those of the model's nodes, but for converters that join the names of all they fused."""

import re
from collections.abc import Iterator

__all__ = ["layer_name"]

_JOINED = ";"  # TensorFlow Lite: between the names of all operators that became one
_MARKS = re.compile(r"(_prequant|_dequant|_quantize)?(__\d+)*\d*$")  # what tf2onnx appends, numbers that make unique
_BIAS, _PRODUCTS = ("BiasAdd",), ("Conv2D", "MatMul", "depthwise")


def layer_name(name: str, weights: str) -> str:
    """The name of a node with weights of this name; of a joined one, `model/block/conv/BiasAdd`, `block/conv`.

    Every layer with a bias adds its own, whereas convolutions among the names may be of other layers: their biases are
    equal (zero), and the converter has merged them. Without a bias the weights tell.
    """
    if _JOINED not in name and not name.endswith("_prequant"):
        return name
    found = [*_layers(name, _BIAS), *_layers(weights, _BIAS), *_layers(weights, _PRODUCTS), *_layers(name, _PRODUCTS)]
    return next(iter(found), name)


def _layers(joined: str, operators: tuple[str, ...]) -> Iterator[str]:
    """The layers among the parts whose last component is one of these operators, outermost model left out."""
    for part in joined.split(_JOINED):
        *path, last = _MARKS.sub("", part).split("/")
        if last in operators and path:
            yield "/".join(path[1:] or path)
