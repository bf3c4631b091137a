"""From the configuration of a Keras model to a float ONNX model: layers in order, each with its variables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import onnx

from gatewright.errors import ModelError
from gatewright.frontends.keras.archive import Archive, read_archive, variable_groups
from gatewright.frontends.keras.layer import Layer, Unsupported
from gatewright.frontends.keras.layers import LAYERS
from gatewright.frontends.keras.writer import Value, Writer

__all__ = ["load_keras"]

_FUNCTIONAL = ("Functional", "Model")
_MODELS = ("Sequential", *_FUNCTIONAL)
_INPUT = "InputLayer"
_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)  # what broken configurations run into

Place = tuple[str, int, int]  # layer, which of its uses, which of its results


def load_keras(path: str | PathLike[str]) -> onnx.ModelProto:
    """The float ONNX model of a `.keras` file: Sequential, functional, and nested ones.

    Inputs and outputs keep Keras' order, [batch, height, width, channels]; nodes are named after layers, those of a
    nested model `model/layer`. Raises `ModelError` that names the file, the layer, and what is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file")
    archive = read_archive(path)
    try:
        return _translate(archive, path.stem)
    except Unsupported as reason:
        raise ModelError(f"{path}: {reason}") from reason
    except _MALFORMED as error:
        raise ModelError(f"{path}: its architecture is malformed ({type(error).__name__}: {error})") from error


def _translate(archive: Archive, name: str) -> onnx.ModelProto:
    unknown = sorted(set(_unknown(archive.config)))
    if unknown:
        known = ", ".join(sorted(LAYERS))
        raise Unsupported(f"it has layers that cannot be imported: {', '.join(unknown)}; those that can are {known}")
    writer = Writer(name)
    model = _Model(archive, writer)
    for value in model.run(archive.config, "", "", None):
        writer.output(value)
    return writer.build()


def _unknown(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Layers without a translation, `name (Class)`."""
    kind, settings = config["class_name"], config.get("config", {})
    name = f"{prefix}{settings.get('name', config.get('name', '?'))}"
    if kind in _MODELS and "layers" in settings:
        for layer in settings["layers"]:
            yield from _unknown(layer, f"{name}/" if prefix or config.get("inbound_nodes") else "")
    elif kind != _INPUT and kind not in LAYERS:
        yield f"{name!r} ({kind})"


@dataclass(frozen=True)
class _Model:
    archive: Archive
    writer: Writer

    def run(self, config: Mapping[str, Any], prefix: str, group: str, operands: Sequence[Value] | None) -> list[Value]:
        """Translate a model: its outputs. The outermost one, without operands, makes its own inputs."""
        layers = config["config"]["layers"]
        groups = [f"{group}layers/{name}" for name in variable_groups([layer["class_name"] for layer in layers])]
        if config["class_name"] == "Sequential":
            return self._sequential(config["config"], layers, groups, prefix, operands)
        return self._functional(config["config"], layers, groups, prefix, operands)

    def _sequential(
        self,
        settings: Mapping[str, Any],
        layers: Sequence[Mapping[str, Any]],
        groups: Sequence[str],
        prefix: str,
        operands: Sequence[Value] | None,
    ) -> list[Value]:
        values = list(operands or ())
        if not values:
            shape = settings.get("build_input_shape")
            given = layers[0]["config"] if layers and layers[0]["class_name"] == _INPUT else {"batch_shape": shape}
            values = [self._input({"name": "input"} | dict(given))]
        for layer, group in zip(layers, groups, strict=True):
            if layer["class_name"] != _INPUT:
                values = self._apply(layer, group, prefix, values)
        return values

    def _functional(
        self,
        settings: Mapping[str, Any],
        layers: Sequence[Mapping[str, Any]],
        groups: Sequence[str],
        prefix: str,
        operands: Sequence[Value] | None,
    ) -> list[Value]:
        inputs, waiting = _places(settings["input_layers"]), []
        values = {} if operands is None else dict(zip(inputs, operands, strict=True))
        for layer, group in zip(layers, groups, strict=True):
            name = layer.get("name", layer["config"]["name"])
            if layer["class_name"] != _INPUT:
                waiting += [(name, use, node, layer, group) for use, node in enumerate(layer["inbound_nodes"])]
            elif operands is None:
                values[name, 0, 0] = self._input(layer["config"])
        while waiting:
            ready = [entry for entry in waiting if all(place in values for place in _operands(entry[2]))]
            if not ready:
                raise Unsupported(f"layer {waiting[0][0]!r}: its operands are computed by no layer")
            for name, use, node, layer, group in ready:
                results = self._apply(layer, group, prefix, [values[place] for place in _operands(node)])
                values.update({(name, use, index): value for index, value in enumerate(results)})
            waiting = [entry for entry in waiting if entry not in ready]
        return [values[place] for place in _results(settings["output_layers"], layers)]

    def _apply(self, config: Mapping[str, Any], group: str, prefix: str, operands: list[Value]) -> list[Value]:
        kind, settings = config["class_name"], config["config"]
        name = f"{prefix}{settings.get('name', config.get('name'))}"
        try:
            if kind in _MODELS:
                return self.run(config, f"{name}/", f"{group}/", operands)
            layer = Layer(self.writer, name, kind, settings, self.archive.variables.get(group, ()))
            if _quantised(settings):
                raise Unsupported("its weights must be floating point, not quantised by Keras")
            return [LAYERS[kind](layer, *operands)]
        except Unsupported as reason:
            text = str(reason)
            raise Unsupported(text if text.startswith("layer ") else f"layer {name!r} ({kind}): {text}") from reason
        except _MALFORMED as error:
            raise Unsupported(f"layer {name!r} ({kind}): it is malformed ({type(error).__name__}: {error})") from error

    def _input(self, settings: Mapping[str, Any]) -> Value:
        name, shape = settings["name"], settings.get("batch_shape") or settings.get("batch_input_shape")
        if not shape or any(not isinstance(size, int) or size < 1 for size in shape[1:]):
            raise Unsupported(f"layer {name!r} (InputLayer): its shape must be given, but for the batch, not {shape}")
        return self.writer.input(name, shape[1:])


def _quantised(settings: Mapping[str, Any]) -> bool:
    policy = settings.get("dtype")
    return settings.get("quantization_config") is not None or (
        isinstance(policy, dict) and policy.get("class_name") == "QuantizedDTypePolicy"
    )


def _results(entries: Any, layers: Sequence[Mapping[str, Any]]) -> list[Place]:
    """The places of a model's results. Keras counts the uses of a functional model within it from 1 there, its own
    making being the first, and from 0 everywhere else.
    """
    places = _places(entries)
    models = {layer.get("name", layer["config"].get("name")) for layer in layers if layer["class_name"] in _FUNCTIONAL}
    first = {name: min(use for each, use, _ in places if each == name) for name, _, _ in places}
    return [(name, use - (name in models and first[name] > 0), index) for name, use, index in places]


def _places(entries: Any) -> list[Place]:
    """One place, or several, in a list or by name."""
    if isinstance(entries, dict):
        entries = [entries[key] for key in sorted(entries)]
    entries = [entries] if entries and isinstance(entries[0], str) else entries
    return [(str(name), int(use), int(index)) for name, use, index in entries]


def _operands(node: Mapping[str, Any]) -> list[Place]:
    """The tensors a use of a layer reads, in order."""
    if any(_tensors(value) for value in node.get("kwargs", {}).values()):
        raise Unsupported("its operands must be given by position")
    return _tensors(node["args"])


def _tensors(entry: Any) -> list[Place]:
    if isinstance(entry, dict) and entry.get("class_name") == "__keras_tensor__":
        name, use, index = entry["config"]["keras_history"]
        return [(name, use, index)]
    if isinstance(entry, dict):
        entry = [entry[key] for key in sorted(entry)]
    if isinstance(entry, list | tuple):
        return [place for one in entry for place in _tensors(one)]
    return []
