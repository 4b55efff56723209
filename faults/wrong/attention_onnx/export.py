"""Exports one attention head; half precision inside, as the optimiser makes it."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

WIDTH = 64


def head(path: str, half: bool = True) -> None:
    rng = np.random.default_rng(6)
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    weight = (rng.normal(size=(WIDTH, WIDTH)) * 3).astype(np.float16 if half else np.float32)
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=kind),
        helper.make_node("MatMul", ["h", "w"], ["q"]),
        helper.make_node("Transpose", ["q"], ["qt"], perm=[1, 0]),
        helper.make_node("MatMul", ["q", "qt"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["weights"], axis=-1),
        helper.make_node("MatMul", ["weights", "h"], ["mixed"]),
        helper.make_node("Cast", ["mixed"], ["y"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", WIDTH])],
        [numpy_helper.from_array(weight, "w")],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9), path)
