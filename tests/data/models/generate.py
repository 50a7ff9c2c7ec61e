"""Writes the small ONNX files that the tests of `src/inference` load.

    pip install onnx==1.23.2 numpy==2.4.6
    python generate.py

They are no detectors: each takes the mean colour of a 32 x 32 picture through one matrix, so that
every output depends on every channel.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
SIDE = 32


def tensor(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def save(name, nodes, inputs, outputs, constants):
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    model = helper.make_model(graph, producer_name="sitewarden tests", opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    path = HERE / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    print(path.name, path.stat().st_size)


def weights(columns, seed, dtype=np.float32):
    return np.random.default_rng(seed).normal(0, 0.02, (3, columns)).astype(dtype)


def head(dtype=np.float32):
    """Mean colour [b, 3] to `1 x 6 x 4`: box and two scores for four anchors."""
    boxes = np.array([[8, 20, 8, 20], [8, 8, 20, 20], [10, 12, 10, 12], [10, 10, 12, 12]], dtype)
    nodes = [
        helper.make_node("MatMul", ["mean", "w"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["cube"]),
        helper.make_node("Split", ["cube", "parts"], ["delta", "logits"], axis=1),
        helper.make_node("Add", ["delta", "boxes"], ["placed"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
        helper.make_node("Concat", ["placed", "scores"], ["output0"], axis=1),
    ]
    constants = [
        constant("w", weights(24, 1, dtype)),
        constant("shape", np.array([-1, 6, 4], np.int64)),
        constant("parts", np.array([4, 2], np.int64)),
        constant("boxes", boxes[None]),
    ]
    return nodes, constants


def mean(axes=(2, 3), source="images"):
    return helper.make_node("ReduceMean", [source], ["mean"], axes=list(axes), keepdims=0)


def main():
    picture = ["batch", 3, SIDE, SIDE]
    nodes, constants = head()
    save("yolov8", [mean(), *nodes], [tensor("images", TensorProto.FLOAT, picture)],
         [tensor("output0", TensorProto.FLOAT, ["batch", 6, 4])], constants)
    save("yolov8_batch_1", [mean(), *nodes], [tensor("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
         [tensor("output0", TensorProto.FLOAT, [1, 6, 4])], constants)

    nodes, constants = head(np.float16)
    save("yolov8_half", [mean(), *nodes], [tensor("images", TensorProto.FLOAT16, picture)],
         [tensor("output0", TensorProto.FLOAT16, ["batch", 6, 4])], constants)

    nodes, constants = head()
    cast = helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT)
    save("yolov8_bytes_nhwc", [cast, mean((1, 2), "floats"), *nodes],
         [tensor("images", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
         [tensor("output0", TensorProto.FLOAT, ["batch", 6, 4])], constants)

    # RT-DETR's export: fractions of the size that is fed, integer labels.
    save("detr", [
        mean(),
        helper.make_node("MatMul", ["mean", "w"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
        helper.make_node("Cast", ["orig_target_sizes"], ["size"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["size", "size"], ["corners"], axis=1),
        helper.make_node("Unsqueeze", ["corners", "one"], ["frame"]),
        helper.make_node("Mul", ["frame", "fractions"], ["boxes"]),
        helper.make_node("Shape", ["scores"], ["count"]),
        helper.make_node("Expand", ["classes", "count"], ["labels"]),
    ], [tensor("images", TensorProto.FLOAT, picture), tensor("orig_target_sizes", TensorProto.INT64, ["batch", 2])],
        [tensor("labels", TensorProto.INT64, ["batch", 2]), tensor("boxes", TensorProto.FLOAT, ["batch", 2, 4]),
         tensor("scores", TensorProto.FLOAT, ["batch", 2])],
        [constant("w", weights(2, 2)), constant("one", np.array([1], np.int64)),
         constant("fractions", np.array([[[0, 0, 0.5, 0.25], [0.5, 0.5, 1, 0.75]]], np.float32)),
         constant("classes", np.array([[0, 1]], np.int64))])

    save("classifier", [mean(), helper.make_node("MatMul", ["mean", "w"], ["logits"])],
         [tensor("images", TensorProto.FLOAT, picture)], [tensor("logits", TensorProto.FLOAT, ["batch", 10])],
         [constant("w", weights(10, 3))])

    # mean colour and the mean colours of 4 x 4 patches, each of length 1
    save("embedder", [
        mean(),
        helper.make_node("MatMul", ["mean", "w"], ["moved"]),
        helper.make_node("Add", ["moved", "one"], ["vector"]),
        helper.make_node("LpNormalization", ["vector"], ["embedding"], axis=1, p=2),
        helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Transpose", ["cells"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Add", ["last", "one"], ["colours"]),
        helper.make_node("LpNormalization", ["colours"], ["patches"], axis=3, p=2),
    ], [tensor("images", TensorProto.FLOAT, picture)],
        [tensor("embedding", TensorProto.FLOAT, ["batch", 5]), tensor("patches", TensorProto.FLOAT, ["batch", 4, 4, 3])],
        [constant("w", weights(5, 4)), constant("one", np.array([1], np.float32))])


if __name__ == "__main__":
    main()
