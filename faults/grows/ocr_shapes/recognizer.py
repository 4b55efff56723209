import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper


def build(channels=24):
    rng = np.random.default_rng(0)
    nodes, init, cur, cin = [], [], "line", 1
    for i in range(4):
        init.append(numpy_helper.from_array((rng.standard_normal((channels, cin, 3, 3)) / 6).astype(np.float32), f"w{i}"))
        nodes.append(helper.make_node("Conv", [cur, f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"]))
        cur, cin = f"r{i}", channels
    nodes.append(helper.make_node("ReduceMean", [cur], ["y"], axes=[1, 2], keepdims=0))
    g = helper.make_graph(nodes, "crnn", [helper.make_tensor_value_info("line", TensorProto.FLOAT, [1, 1, 64, "w"])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "w"])], init)
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def load():
    so = ort.SessionOptions()
    so.intra_op_num_threads = 1
    return ort.InferenceSession(build(), so, providers=["CPUExecutionProvider"])
