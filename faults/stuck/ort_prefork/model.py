import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper


def build(branches=4, dim=256):
    """A few towers over the same input, summed at the end."""
    rng = np.random.default_rng(0)
    nodes, init, tops = [], [], []
    for b in range(branches):
        cur = "x"
        for i in range(3):
            w = (rng.standard_normal((dim, dim)) / dim ** 0.5).astype(np.float32)
            init.append(numpy_helper.from_array(w, f"w{b}_{i}"))
            nodes.append(helper.make_node("MatMul", [cur, f"w{b}_{i}"], [f"m{b}_{i}"]))
            nodes.append(helper.make_node("Relu", [f"m{b}_{i}"], [f"h{b}_{i}"]))
            cur = f"h{b}_{i}"
        tops.append(cur)
    nodes.append(helper.make_node("Sum", tops, ["y"]))
    graph = helper.make_graph(nodes, "towers", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", dim])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", dim])], init)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def load(threads=2):
    opts = ort.SessionOptions()
    opts.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    opts.inter_op_num_threads = threads
    opts.intra_op_num_threads = 1
    opts.add_session_config_entry("session.inter_op.allow_spinning", "0")
    opts.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(build().SerializeToString(), opts, providers=["CPUExecutionProvider"])
