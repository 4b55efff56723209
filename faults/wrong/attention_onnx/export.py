"""Exports one attention head."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

WIDTH = 64


def head(path: str, half: bool = True) -> None:
    rng = np.random.default_rng(6)
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    weight = (rng.normal(size=(WIDTH, WIDTH)) * 3).astype(np.float16 if half else np.float32)
    scores = [
        helper.make_node("Cast", ["x"], ["h"], to=kind),
        helper.make_node("MatMul", ["h", "w"], ["q"]),
        helper.make_node("Transpose", ["q"], ["qt"], perm=[1, 0]),
        helper.make_node("MatMul", ["q", "qt"], ["scores"]),
    ]
    mix = [
        helper.make_node("Cast", ["scores"], ["s"], to=TensorProto.FLOAT),
        helper.make_node("Softmax", ["s"], ["weights"], axis=-1),
        helper.make_node("MatMul", ["weights", "x"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", WIDTH])
    s = helper.make_tensor_value_info("scores", kind, ["n", "n"])
    write(f"{path}/scores.onnx", helper.make_graph(scores, "scores", [x], [s], [numpy_helper.from_array(weight, "w")]))
    write(f"{path}/mix.onnx", helper.make_graph(mix, "mix", [s, x], [y]))


def write(path: str, graph) -> None:
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9), path)
