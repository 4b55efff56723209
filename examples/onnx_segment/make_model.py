"""Writes a small segmentation network with random weights: three convolutions on a 256 x 256 image."""

import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

generator = numpy.random.default_rng(7)
CHANNELS = [3, 32, 32, 2]


def convolution(number):
    shape = (CHANNELS[number + 1], CHANNELS[number], 3, 3)
    weights = (generator.standard_normal(shape) * 0.1).astype("float32")
    name = f"weights{number}"
    node = helper.make_node("Conv", [f"x{number}", name], [f"y{number}"], pads=[1, 1, 1, 1])
    return [node, helper.make_node("Relu", [f"y{number}"], [f"x{number + 1}"])], numpy_helper.from_array(weights, name)


layers = [convolution(number) for number in range(3)]
graph = helper.make_graph(
    [node for nodes, _ in layers for node in nodes],
    "segment",
    [helper.make_tensor_value_info("x0", TensorProto.FLOAT, [1, 3, 256, 256])],
    [helper.make_tensor_value_info("x3", TensorProto.FLOAT, [1, 2, 256, 256])],
    [weights for _, weights in layers],
)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), sys.argv[1])
