"""Which of a tower's layers bear few bits, and a graph of which only those are in bfloat16.

What the first layers of a convolutional tower round off goes through all the others: see ADR 0031.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detector.runtime.openvino_silent import openvino, ops

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LOW: Final = openvino.Type.bf16
_WHOLE: Final = openvino.Type.f32
_CONVOLUTIONS: Final = frozenset({"Convolution", "GroupConvolution"})
_COARSE_PX: Final = 4
# They ask for a tensor's shape and not for its values, or they are where the graph ends.
_VALUELESS: Final = frozenset({"ShapeOf", "Result"})


def strides(model: openvino.Model, shape: Sequence[int]) -> dict[str, int]:
    """Return how many of a canvas's pixels a side go into one cell of what each convolution looks at, by its name.

    `shape` is the canvas's, (1, H, W, 3).
    """
    sized = model.clone()
    sized.reshape(list(shape))
    # What is padded to the stride is a few cells larger than the canvas's share.
    return {
        node.get_friendly_name(): round(shape[1] / node.input(0).get_shape()[2])
        for node in sized.get_ordered_ops()
        if node.get_type_name() in _CONVOLUTIONS
    }


def lowered(model: openvino.Model, shape: Sequence[int], *, within: str) -> openvino.Model:
    """Return the graph with bfloat16 in all that follows from its coarse convolutions, and float32 in the rest.

    A convolution is coarse if a cell that it looks at is of 4 pixels a side or more. Only layers whose names begin with
    `within` are lowered: what is made of the tower's maps stays in float32. A graph without such is returned as it is.
    """
    coarse = {name for name, stride in strides(model, shape).items() if stride >= _COARSE_PX}
    changed = model.clone()
    low = _following([node for node in changed.get_ordered_ops() if node.get_friendly_name() in coarse], within)
    converted: dict[tuple[str, int], openvino.Output] = {}
    for node in low.values():
        for entry in node.inputs():
            source = entry.get_source_output()
            parent = source.get_node()
            if source.get_element_type() == _WHOLE and parent.get_friendly_name() not in low:
                key = (parent.get_friendly_name(), source.get_index())
                if key not in converted:
                    converted[key] = _in_bf16(source)
                entry.replace_source_output(converted[key])
    for node in low.values():
        for output in node.outputs():
            leaving = [
                target for target in output.get_target_inputs() if target.get_node().get_friendly_name() not in low
            ]
            leaving = [target for target in leaving if target.get_node().get_type_name() != "ShapeOf"]
            if leaving:
                whole = ops.convert(output, np.float32).output(0)
                for target in leaving:
                    target.replace_source_output(whole)
    changed.validate_nodes_and_infer_types()
    return changed


def has_bf16(model: openvino.Model) -> bool:
    """Return whether the graph itself says which of its layers are in bfloat16."""
    return any(output.get_element_type() == _LOW for node in model.get_ops() for output in node.outputs())


def _following(start: Sequence[openvino.Node], within: str) -> dict[str, openvino.Node]:
    """Return the layers `within` that compute with what some of them give, and these, by their names."""
    found: dict[str, openvino.Node] = {}
    todo = list(start)
    while todo:
        node = todo.pop()
        name = node.get_friendly_name()
        if name not in found and name.startswith(within) and node.get_type_name() not in _VALUELESS:
            found[name] = node
            todo += _readers(node)
    return found


def _readers(node: openvino.Node) -> Iterator[openvino.Node]:
    for output in node.outputs():
        yield from (target.get_node() for target in output.get_target_inputs())


def _in_bf16(source: openvino.Output) -> openvino.Output:
    """Return values in bfloat16; those that are known at once, so that the graph's file is smaller."""
    node = source.get_node()
    if node.get_type_name() == "Constant":
        return ops.constant(np.array(node.data), dtype=_LOW).output(0)
    return ops.convert(source, "bf16").output(0)
