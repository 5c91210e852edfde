"""A Piper voice of a few kilobytes: a beep for each phoneme, with the inputs and outputs of a real one."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

RATE_HZ = 22_050
HOP = 256
_FRAMES_PER_ID = 4
_LAST_SILENT_ID = 13
"""Padding, sentence marks, the space and punctuation come first in Piper's map."""

_CONSTANTS = {
    "second": np.array([1], np.int64),
    "scalar": np.array([], np.int64),
    "as_column": np.array([-1, 1], np.int64),
    "as_audio": np.array([1, 1, 1, -1], np.int64),
    "zero": np.float32(0),
    "one": np.float32(1),
    "frames_at_scale_one": np.float32(_FRAMES_PER_ID),
    "hop": np.float32(HOP),
    "hz_per_id": np.float32(20),
    "lowest_hz": np.float32(200),
    "radians_per_sample": np.float32(2 * np.pi / RATE_HZ),
    "last_silent_id": np.int64(_LAST_SILENT_ID),
    "loudness": np.float32(0.5),
}


def write_voice(folder: Path, name: str, *, timed: bool) -> None:
    """Writes `<name>.onnx` and `<name>.onnx.json`; `timed` adds the durations of phonemes as an output."""
    onnx.save(_model(timed), folder / f"{name}.onnx")
    write_config(folder, name)


def write_config(folder: Path, name: str) -> None:
    """Writes `<name>.onnx.json` for a voice of one speaker that says HOP samples a frame at RATE_HZ."""
    config = {
        "audio": {"sample_rate": RATE_HZ},
        "espeak": {"voice": "en-us"},
        "phoneme_type": "espeak",
        "num_symbols": 256,
        "num_speakers": 1,
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
        "hop_length": HOP,
    }
    (folder / f"{name}.onnx.json").write_text(json.dumps(config), encoding="utf-8")


def _model(timed: bool) -> onnx.ModelProto:
    steps = (
        ("Gather", ["scales", "second"], "length_scale"),
        ("Mul", ["frames_at_scale_one", "length_scale"], "wanted_frames"),
        ("Ceil", ["wanted_frames"], "frames"),
        ("Mul", ["frames", "hop"], "length"),
        ("Reshape", ["length", "scalar"], "samples"),
        ("Range", ["zero", "samples", "one"], "time"),
        ("Reshape", ["input", "as_column"], "ids"),
        ("Cast", ["ids"], "numbers"),
        ("Mul", ["numbers", "hz_per_id"], "above_lowest"),
        ("Add", ["above_lowest", "lowest_hz"], "pitch"),
        ("Mul", ["pitch", "radians_per_sample"], "angular"),
        ("Mul", ["angular", "time"], "phase"),
        ("Sin", ["phase"], "tone"),
        ("Greater", ["ids", "last_silent_id"], "is_voiced"),
        ("Cast", ["is_voiced"], "voiced"),
        ("Mul", ["tone", "voiced"], "beeps"),
        ("Mul", ["beeps", "loudness"], "loud"),
        ("Reshape", ["loud", "as_audio"], "output"),
        ("Mul", ["numbers", "zero"], "nothing"),
        ("Add", ["nothing", "frames"], "durations"),
    )
    nodes = [
        helper.make_node(operation, inputs, [result], to=TensorProto.FLOAT)
        if operation == "Cast"
        else helper.make_node(operation, inputs, [result])
        for operation, inputs, result in steps[: None if timed else -2]
    ]
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "samples"])]
    if timed:
        outputs.append(helper.make_tensor_value_info("durations", TensorProto.FLOAT, ["phonemes", 1]))
    graph = helper.make_graph(
        nodes,
        "beeps",
        [
            helper.make_tensor_value_info("input", TensorProto.INT64, [1, "phonemes"]),
            helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
            helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
        ],
        outputs,
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in _CONSTANTS.items()
            if any(name in inputs for _, inputs, _ in steps)
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model
