"""Noise reduction engines: one block in, one block out."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import numpy as np

from audio.blocks import BLOCK, RATE_HZ, Block, to_block, to_samples
from audio.spectral_noise import SpectralNoiseReducer
from audio.speexdsp import SpeexDsp, SpeexPreprocess, open_speexdsp

_FRAME: Final = BLOCK // 2
_CONTEXT: Final = RATE_HZ


class NoiseReducer(Protocol):
    """Takes steady noise out of speech. Blocks are float32 in [-1, 1], BLOCK long, never changed in place."""

    @property
    def delay_samples(self) -> int:
        """How much later sound comes out."""

    def process(self, block: Block) -> Block:
        """Returns the sound of `delay_samples` ago with less noise."""

    def reset(self) -> None:
        """Begins anew, as for another call."""

    def close(self) -> None:
        """Gives back what is held outside Python; may be called again."""


class SpeexNoiseReducer:
    """SpeexDSP's preprocessor in frames of 10 ms, down to -25 dB."""

    delay_samples: Final = _FRAME

    def __init__(self) -> None:
        """Raises ValueError if libspeexdsp isn't installed."""
        library = open_speexdsp()
        if library is None:
            raise ValueError("libspeexdsp isn't installed")
        self._library: Final[SpeexDsp] = library
        self._preprocess = SpeexPreprocess(library, frame=_FRAME)

    def process(self, block: Block) -> Block:
        """See NoiseReducer."""
        samples = to_samples(block)
        halves = [self._preprocess.process(samples[at : at + _FRAME]) for at in (0, _FRAME)]
        return to_block(np.concatenate(halves))

    def reset(self) -> None:
        """See NoiseReducer."""
        self.close()
        self._preprocess = SpeexPreprocess(self._library, frame=_FRAME)

    def close(self) -> None:
        """See NoiseReducer."""
        self._preprocess.close()


class NoisereduceNoiseReducer:
    """The Python package noisereduce (spectral gating, stationary), over the last second for each block.

    About 60 times the work of the others, 3 ms for 20 ms of sound: for one call, not for many. No delay,
    and no look-ahead either.
    """

    delay_samples: Final = 0

    def __init__(self) -> None:
        # Half a second: it pulls matplotlib in.
        from noisereduce import reduce_noise  # type: ignore[import-untyped]

        self._reduce: Final[Any] = reduce_noise
        self._heard = np.zeros(_CONTEXT, np.float32)

    def process(self, block: Block) -> Block:
        """See NoiseReducer."""
        self._heard = np.concatenate((self._heard[BLOCK:], block))
        if not self._heard.any():
            return np.zeros(BLOCK, np.float32)
        cleaned = self._reduce(
            self._heard, sr=RATE_HZ, stationary=True, n_fft=256, padding=0, prop_decrease=0.9, use_tqdm=False
        )
        found: Block = np.clip(cleaned[-BLOCK:], -1.0, 1.0).astype(np.float32)
        return found

    def reset(self) -> None:
        """See NoiseReducer."""
        self._heard = np.zeros(_CONTEXT, np.float32)

    def close(self) -> None:
        """See NoiseReducer."""


NOISE_REDUCERS: Final[Mapping[str, Callable[[], NoiseReducer]]] = {
    "speex": SpeexNoiseReducer,
    "spectral": SpectralNoiseReducer,
    "noisereduce": NoisereduceNoiseReducer,
}
