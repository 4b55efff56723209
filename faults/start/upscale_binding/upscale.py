"""Doubles the size of tiles with an ONNX model; inputs stay on the device."""
import argparse
import logging
import pathlib

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, save

log = logging.getLogger("upscale")
PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


def export(path: pathlib.Path) -> None:
    node = helper.make_node("Resize", ["tile", "", "scales"], ["big"], mode="nearest")
    graph = helper.make_graph(
        [node],
        "upscale",
        [helper.make_tensor_value_info("tile", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("big", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 2, 2])],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9), str(path))


class Upscaler:
    def __init__(self, model: pathlib.Path, device: str) -> None:
        self.device = device
        self.session = ort.InferenceSession(str(model), providers=PROVIDERS[device])
        self.binding = self.session.io_binding()

    def __call__(self, tile: np.ndarray) -> np.ndarray:
        value = ort.OrtValue.ortvalue_from_numpy(tile, self.device, 0)
        self.binding.bind_ortvalue_input("tile", value)
        self.binding.bind_output("big", self.device)
        self.session.run_with_iobinding(self.binding)
        return self.binding.copy_outputs_to_cpu()[0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=sorted(PROVIDERS), default="cpu")
    parser.add_argument("--tiles", type=int, default=4)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    path = pathlib.Path("upscale.onnx")
    if not path.exists():
        export(path)
    upscaler = Upscaler(path, args.device)
    log.info("model loaded")
    rng = np.random.default_rng(1)
    for number in range(args.tiles):
        big = upscaler(rng.random((1, 3, 32, 32), dtype=np.float32))
        log.info("tile %d: %s", number, big.shape)


if __name__ == "__main__":
    main()
