"""Every number of the quantised network: encodings of activations, integer weights and biases."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gatewright.errors import ModelError
from gatewright.quantize.calibrate import Statistics, calibrate, channel_means, combine
from gatewright.quantize.network import Network, attributes
from gatewright.quantize.options import QuantiseOptions
from gatewright.quantize.plan import Plan, make_plan
from gatewright.quantize.products import Product, weights_of
from gatewright.quantize.qdq import Decisions
from gatewright.quantize.scales import Encoding, choose_encoding, coarsen
from gatewright.quantize.weights import QuantisedWeights, quantise_weights

__all__ = ["Observed", "decide", "decide_from", "observe"]


@dataclass(frozen=True)
class Observed:
    """What samples show of a network: the range of every tensor that decides an encoding, means for each product."""

    plan: Plan
    statistics: Mapping[str, Statistics]
    means: Mapping[str, np.ndarray]


def decide(network: Network, samples: Mapping[str, np.ndarray], options: QuantiseOptions) -> Decisions:
    """Choose every encoding and quantise every weight, from checked samples."""
    return decide_from(network, observe(network, samples, options), options)


def observe(network: Network, samples: Mapping[str, np.ndarray], options: QuantiseOptions | None = None) -> Observed:
    """Run the float network; with options, what they have no use for is left out."""
    plan = make_plan(network)
    if options is not None:
        options = options.of_layers([product.node for product in plan.products])
    statistics = calibrate(network, samples, [name for names in plan.sources.values() for name in names])
    return Observed(plan, statistics, _means(network, plan, samples, options))


def decide_from(network: Network, observed: Observed, options: QuantiseOptions) -> Decisions:
    """Choose every encoding and quantise every weight."""
    plan, statistics = observed.plan, observed.statistics
    options = options.of_layers([product.node for product in plan.products])
    leaders = {leader: _encode_group(network, plan, leader, statistics, options) for leader in plan.sources}
    means = {name: mean for name, mean in observed.means.items() if options.corrects_bias(options.widths(name)[1])}
    while True:
        encodings = {name: leaders[plan.leader[name]] for name in plan.encoded}
        weights = {
            product.node: _quantise_product(network, product, encodings[product.x], options, means.get(product.node))
            for product in plan.products
        }
        raised = _raise_fine_outputs(plan, leaders, weights) if options.dyadic else {}
        if not raised:
            break
        leaders |= raised
    operands = _encode_operands(network, plan, encodings, options)
    return Decisions(plan, encodings, operands, weights, "half_up" if options.dyadic else "half_even")


def _encode_group(
    network: Network, plan: Plan, leader: str, statistics: Mapping[str, Statistics], options: QuantiseOptions
) -> Encoding:
    members = plan.members(leader)
    widths = [options.widths(product.node)[0] for product in plan.products if product.x in members]
    if any(name in network.outputs or name in plan.tail_inputs for name in members):
        widths.append(max(options.activation_bits, options.output_bits))
    bits = max(widths, default=options.activation_bits)
    return choose_encoding(combine(statistics[name] for name in plan.sources[leader]), bits, options)


def _quantise_product(
    network: Network, product: Product, x: Encoding, options: QuantiseOptions, means: np.ndarray | None
) -> QuantisedWeights:
    weights, bias = weights_of(network, product)
    try:
        return quantise_weights(weights, bias, x, options.widths(product.node)[1], options, means)
    except ModelError as error:
        raise ModelError(f"{product.node}: {error}") from error


def _raise_fine_outputs(
    plan: Plan, leaders: Mapping[str, Encoding], weights: Mapping[str, QuantisedWeights]
) -> dict[str, Encoding]:
    """Coarser encodings where a result would have a step no larger than the sum's own: it would be shifted left."""
    raised: dict[str, Encoding] = {}
    for product in plan.products:
        leader = plan.leader[product.result]
        least = 2 * leaders[plan.leader[product.x]].scale * float(weights[product.node].scales.max())
        if raised.get(leader, leaders[leader]).scale < least:
            raised[leader] = coarsen(leaders[leader], least)
    return raised


def _encode_operands(
    network: Network, plan: Plan, encodings: Mapping[str, Encoding], options: QuantiseOptions
) -> dict[str, Encoding]:
    """Encodings of the constants that are added to activations; they cover every value."""
    exact = replace(options, calibration="minmax")
    found = {}
    adders = {product.adder for product in plan.products}
    for node in network.nodes:
        if node.name in adders:
            continue
        if node.op_type in ("Add", "Sub") and any(name in encodings for name in node.input):
            for name in node.input:
                if name in network.constants:
                    values = network.constants[name].ravel().astype(np.float64)
                    statistics = Statistics(values.min(), values.max(), values, np.ones(len(values), np.int64))
                    found[name] = choose_encoding(statistics, options.activation_bits, exact)
    return found


def _means(
    network: Network, plan: Plan, samples: Mapping[str, np.ndarray], options: QuantiseOptions | None
) -> dict[str, np.ndarray]:
    """For each product, the mean of what each of its weights multiplies, to be broadcast to the weights."""
    corrected = [
        product
        for product in plan.products
        if (options is None or options.corrects_bias(options.widths(product.node)[1]))
        # A MatMul without an addition has nowhere to put a bias.
        and not (product.bias is None and network.node(product.node).op_type == "MatMul")
    ]
    axes = {product.x: -1 if network.node(product.node).op_type == "MatMul" else 1 for product in corrected}
    by_tensor = channel_means(network, samples, axes) if axes else {}
    found = {}
    for product in corrected:
        node, means = network.node(product.node), by_tensor[product.x]
        weights = network.constants[product.weight]
        if node.op_type == "Conv":
            groups = attributes(node).get("group", 1)
            means = np.repeat(means.reshape(groups, -1), len(weights) // groups, axis=0)
            means = means.reshape(*means.shape, *[1] * (weights.ndim - 2))
        else:
            means = means[None, :]
        found[product.node] = means
    return found
