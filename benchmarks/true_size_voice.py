"""A Piper voice of true size: the layers and the work of Piper's "medium" quality, with random weights.

What it says is noise, but what it costs is real: 16 million weights (63 MB) in the shapes of Piper's own
`ModelConfig` (piper-tts, `piper/train/vits/config.py`): a text encoder of 6 layers of 192 channels, the
convolutions of the stochastic duration predictor, 4 residual couplings of 4 WaveNet layers, and a HiFi-GAN
decoder that makes 256 samples at 22.05 kHz of each frame (8 x 8 x 4, from 256 channels down). Durations do
not depend on the weights: every phoneme takes 81 ms, so that work can be held against seconds of sound.

Left out, because it can be seen neither in time nor in size: the attention's relative positions (0.1 % of the
weights) and the splines of the duration predictor.

For comparison: en_US-amy-medium.onnx has 63.2 MB; rhasspy/piper's issue 33 gives real-time factors of 0.03 on
all cores of a Ryzen 9 5950X and of 0.8 on a Raspberry Pi 4.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.engines.tiny_voice import HOP, RATE_HZ, write_config

SAMPLE_RATE_HZ: Final = RATE_HZ
PHONEME_MS: Final = 81
"""Of a phoneme with the padding that follows it: 7 frames of 256 samples."""

_SYMBOLS: Final = 256
_CHANNELS: Final = 192
_HALF: Final = _CHANNELS // 2
_FEED_FORWARD: Final = 768
_HEADS: Final = 2
_ENCODER_LAYERS: Final = 6
_COUPLINGS: Final = 4
_WAVENET_LAYERS: Final = 4
_DURATION_FLOWS: Final = 3
_SPLINE: Final = 29
_DECODER_CHANNELS: Final = 256
_UPSAMPLE: Final = ((8, 16), (8, 16), (4, 8))
"""Rate and kernel of each step."""
_RESBLOCKS: Final = ((3, (1, 2)), (5, (2, 6)), (7, (3, 12)))
"""Kernel and dilations of each."""
_PADDING_FRAMES, _PHONEME_FRAMES = 2.9, 3.9
"""Rounded up, as the network does with what it predicts."""
_PADDING_ID: Final = 0


def write_voice(folder: Path, name: str, *, seed: int = 1) -> None:
    """Writes `<name>.onnx` and `<name>.onnx.json` as Piper reads them; takes about a second."""
    onnx.save(_Vits(seed).model(), folder / f"{name}.onnx")
    write_config(folder, name)


class _Graph:
    """Nodes, one after the other, and the weights that they use; tensors are known by name."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def node(self, operation: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Adds a node; returns the name of its (first) output. The others are `name:1` and so on."""
        name = f"{operation}_{len(self.nodes)}"
        names = [name, *(f"{name}:{number}" for number in range(1, outputs))]
        self.nodes.append(helper.make_node(operation, inputs, names, **attributes))
        return name

    def constant(self, value: Any) -> str:
        """A tensor of this value."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def random(self, *shape: int, deviation: float) -> str:
        """Normally distributed float32 weights."""
        values: NDArray[np.float32] = self._random.standard_normal(shape, np.float32)
        return self.constant(values * np.float32(deviation))

    def split(self, tensor: str, axis: int = 1) -> tuple[str, str]:
        """The two halves of `tensor`."""
        first = self.node("Split", tensor, outputs=2, axis=axis, num_outputs=2)
        return first, f"{first}:1"

    def convolve(
        self, tensor: str, channels: tuple[int, int], kernel: int = 1, *, dilation: int = 1, gain: float = 1.0
    ) -> str:
        """A convolution over time that keeps the length. Random weights keep the variance, times `gain`."""
        incoming, outgoing = channels
        weights = self.random(outgoing, incoming, kernel, deviation=math.sqrt(gain / (incoming * kernel)))
        bias = self.constant(np.zeros(outgoing, np.float32))
        pad = (kernel - 1) * dilation // 2
        return self.node("Conv", tensor, weights, bias, dilations=[dilation], pads=[pad, pad])

    def normalise(self, tensor: str) -> str:
        """Layer normalisation over the channels of a (1, channels, time) tensor."""
        turned = self.node("Transpose", tensor, perm=[0, 2, 1])
        scale = self.constant(np.ones(_CHANNELS, np.float32))
        shift = self.constant(np.zeros(_CHANNELS, np.float32))
        normal = self.node("LayerNormalization", turned, scale, shift, axis=-1, epsilon=1e-5)
        return self.node("Transpose", normal, perm=[0, 2, 1])

    def leaky(self, tensor: str, slope: float = 0.1) -> str:
        """Leaky ReLU."""
        return self.node("LeakyRelu", tensor, alpha=slope)


class _Vits(_Graph):
    """The network as it is exported for inference, part by part, in the order in which it runs."""

    def model(self) -> onnx.ModelProto:
        """The whole of it, with Piper's inputs and its output."""
        noise, length = self._scale(0), self._scale(1)
        encoded = self._encode()
        mean, deviation = self.split(self.convolve(encoded, (_CHANNELS, 2 * _CHANNELS), gain=0.1))
        path = self._path(self._frames(encoded, length))
        mean, deviation = self._stretch(mean, path), self._stretch(deviation, path)
        spread = self.node("Mul", self.node("RandomNormalLike", mean, seed=1.0), self.node("Exp", deviation))
        latent = self.node("Add", mean, self.node("Mul", spread, noise))
        sound = self._decode(self._flow(latent))
        self.nodes.append(helper.make_node("Unsqueeze", [sound, self.constant([0])], ["output"]))
        return self._finished()

    def _scale(self, index: int) -> str:
        return self.node("Gather", "scales", self.constant(np.int64(index)))

    def _encode(self) -> str:
        """(1, channels, phonemes)."""
        table = self.random(_SYMBOLS, _CHANNELS, deviation=1.0)
        tensor = self.node("Transpose", self.node("Gather", table, "input"), perm=[0, 2, 1])
        for _ in range(_ENCODER_LAYERS):
            tensor = self.normalise(self.node("Add", tensor, self._attend(tensor)))
            wide = self.node("Relu", self.convolve(tensor, (_CHANNELS, _FEED_FORWARD), 3, gain=2.0))
            narrow = self.convolve(wide, (_FEED_FORWARD, _CHANNELS), 3)
            tensor = self.normalise(self.node("Add", tensor, narrow))
        return tensor

    def _attend(self, tensor: str) -> str:
        heads = self.constant([1, _HEADS, _CHANNELS // _HEADS, -1])
        query, key, value = (
            self.node("Reshape", self.convolve(tensor, (_CHANNELS, _CHANNELS)), heads) for _ in range(3)
        )
        query = self.node("Transpose", query, perm=[0, 1, 3, 2])
        shrink = self.constant(np.float32(1 / math.sqrt(_CHANNELS / _HEADS)))
        scores = self.node("Mul", self.node("MatMul", query, key), shrink)
        shares = self.node("Softmax", scores, axis=-1)
        mixed = self.node("MatMul", shares, self.node("Transpose", value, perm=[0, 1, 3, 2]))
        flat = self.constant([1, _CHANNELS, -1])
        joined = self.node("Reshape", self.node("Transpose", mixed, perm=[0, 1, 3, 2]), flat)
        return self.convolve(joined, (_CHANNELS, _CHANNELS))

    def _frames(self, encoded: str, length: str) -> str:
        """How many frames each symbol takes, (1, phonemes); the predictor works, but is not listened to."""
        context = self._separable(self.convolve(encoded, (_CHANNELS, _CHANNELS)))
        context = self.convolve(context, (_CHANNELS, _CHANNELS))
        logarithm = self._mean(context)
        for _ in range(_DURATION_FLOWS):
            hidden = self.node("Add", self.convolve(logarithm, (1, _CHANNELS)), context)
            spline = self.convolve(self._separable(hidden), (_CHANNELS, _SPLINE))
            logarithm = self._mean(spline)
        unheard = self.node("Mul", logarithm, self.constant(np.float32(0)))
        frames = np.full(_SYMBOLS, _PHONEME_FRAMES, np.float32)
        frames[_PADDING_ID] = _PADDING_FRAMES
        wanted = self.node("Gather", self.constant(frames), "input")
        factor = self.node("Mul", self.node("Exp", unheard), length)
        return self.node("Ceil", self.node("Mul", wanted, self.node("Squeeze", factor, self.constant([1]))))

    def _mean(self, tensor: str) -> str:
        """Over the channels; stands for what the flows make of noise, and for their splines."""
        return self.node("ReduceMean", tensor, self.constant([1]), keepdims=1)

    def _separable(self, tensor: str) -> str:
        """Three depth-separable convolutions with growing dilation."""
        for layer in range(3):
            dilation = 3**layer
            weights = self.random(_CHANNELS, 1, 3, deviation=math.sqrt(1 / 3))
            pads = [dilation, dilation]
            each = self.node("Conv", tensor, weights, group=_CHANNELS, dilations=[dilation], pads=pads)
            each = self._gelu(self.normalise(each))
            mixed = self._gelu(self.normalise(self.convolve(each, (_CHANNELS, _CHANNELS))))
            tensor = self.node("Add", tensor, mixed)
        return tensor

    def _gelu(self, tensor: str) -> str:
        root = self.constant(np.float32(1 / math.sqrt(2)))
        half, one = self.constant(np.float32(0.5)), self.constant(np.float32(1))
        gate = self.node("Add", self.node("Erf", self.node("Mul", tensor, root)), one)
        return self.node("Mul", self.node("Mul", tensor, half), gate)

    def _path(self, frames: str) -> str:
        """Which frame belongs to which symbol: ones and zeros, (frames, phonemes)."""
        ends = self.node("CumSum", frames, self.constant(np.int64(1)))
        total = self.node("ReduceSum", frames, keepdims=0)
        zero, one = self.constant(np.float32(0)), self.constant(np.float32(1))
        times = self.node("Unsqueeze", self.node("Range", zero, total, one), self.constant([1]))
        before_end = self.node("Less", times, ends)
        before_start = self.node("Less", times, self.node("Sub", ends, frames))
        return self.node(
            "Sub",
            self.node("Cast", before_end, to=TensorProto.FLOAT),
            self.node("Cast", before_start, to=TensorProto.FLOAT),
        )

    def _stretch(self, tensor: str, path: str) -> str:
        """From (1, channels, phonemes) to (1, channels, frames)."""
        per_frame = self.node("MatMul", path, self.node("Transpose", tensor, perm=[0, 2, 1]))
        return self.node("Transpose", per_frame, perm=[0, 2, 1])

    def _flow(self, latent: str) -> str:
        for _ in range(_COUPLINGS):
            second, first = self.split(latent)  # flipped
            hidden = self._wavenet(self.convolve(first, (_HALF, _CHANNELS)))
            change = self.convolve(hidden, (_CHANNELS, _HALF), gain=0.1)
            latent = self.node("Concat", first, self.node("Sub", second, change), axis=1)
        return latent

    def _wavenet(self, tensor: str) -> str:
        skipped = ""
        for layer in range(_WAVENET_LAYERS):
            last = layer == _WAVENET_LAYERS - 1
            left, right = self.split(self.convolve(tensor, (_CHANNELS, 2 * _CHANNELS), 5))
            gated = self.node("Mul", self.node("Tanh", left), self.node("Sigmoid", right))
            out = self.convolve(gated, (_CHANNELS, _CHANNELS if last else 2 * _CHANNELS))
            if last:
                return self.node("Add", skipped, out)
            residual, skip = self.split(out)
            tensor = self.node("Add", tensor, residual)
            skipped = self.node("Add", skipped, skip) if skipped else skip
        return skipped

    def _decode(self, latent: str) -> str:
        """(1, 1, samples), in [-1, 1]."""
        channels = _DECODER_CHANNELS
        tensor = self.convolve(latent, (_CHANNELS, channels), 7)
        for rate, kernel in _UPSAMPLE:
            weights = self.random(
                channels, channels // 2, kernel, deviation=math.sqrt(2 * rate / (channels * kernel))
            )
            pad = (kernel - rate) // 2
            tensor = self.node("ConvTranspose", self.leaky(tensor), weights, strides=[rate], pads=[pad, pad])
            channels //= 2
            tensor = self._residual(tensor, channels, _RESBLOCKS)
        weights = self.random(1, channels, 7, deviation=0.1 / math.sqrt(7 * channels))
        return self.node("Tanh", self.node("Conv", self.leaky(tensor, 0.01), weights, pads=[3, 3]))

    def _residual(self, tensor: str, channels: int, blocks: Sequence[tuple[int, Sequence[int]]]) -> str:
        """The mean of residual blocks that differ in their kernels."""
        results = []
        for kernel, dilations in blocks:
            each = tensor
            for dilation in dilations:
                change = self.convolve(
                    self.leaky(each), (channels, channels), kernel, dilation=dilation, gain=0.5
                )
                each = self.node("Add", each, change)
            results.append(each)
        together = self.node("Sum", *results)
        return self.node("Mul", together, self.constant(np.float32(1 / len(blocks))))

    def _finished(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "vits",
            [
                helper.make_tensor_value_info("input", TensorProto.INT64, [1, "phonemes"]),
                helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
                helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
            ],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "samples"])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        model.ir_version = 9
        onnx.checker.check_model(model)
        return model


assert math.prod(rate for rate, _ in _UPSAMPLE) == HOP
assert round((math.ceil(_PADDING_FRAMES) + math.ceil(_PHONEME_FRAMES)) * HOP * 1_000 / RATE_HZ) == PHONEME_MS
