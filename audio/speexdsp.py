"""SpeexDSP's echo canceller and noise suppressor, called in the system's own libspeexdsp.

The library is Xiph's, under the BSD licence, and in every distribution (Debian: libspeexdsp1). It reads and
writes as many samples as a state was made for, whatever it is given; so lengths and types are checked here.
"""

import ctypes
import ctypes.util
from collections.abc import Callable
from functools import cache
from typing import Final, Self
from weakref import finalize

import numpy as np

from audio.blocks import BLOCK, RATE_HZ, Samples

_ECHO_SET_SAMPLING_RATE: Final = 24
_PREPROCESS_SET_DENOISE: Final = 0
_PREPROCESS_SET_NOISE_SUPPRESS: Final = 18

_STATE: Final = ctypes.c_void_p
_SAMPLES: Final = ctypes.c_void_p
_SIGNATURES: Final = {
    "speex_echo_state_init": (_STATE, [ctypes.c_int, ctypes.c_int]),
    "speex_echo_state_destroy": (None, [_STATE]),
    "speex_echo_cancellation": (None, [_STATE, _SAMPLES, _SAMPLES, _SAMPLES]),
    "speex_echo_ctl": (ctypes.c_int, [_STATE, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]),
    "speex_preprocess_state_init": (_STATE, [ctypes.c_int, ctypes.c_int]),
    "speex_preprocess_state_destroy": (None, [_STATE]),
    "speex_preprocess_run": (ctypes.c_int, [_STATE, _SAMPLES]),
    "speex_preprocess_ctl": (ctypes.c_int, [_STATE, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]),
}


class SpeexDsp:
    """The loaded library. Raises AttributeError if `path` is another one."""

    def __init__(self, path: str) -> None:
        self.c: Final = ctypes.CDLL(path)
        for name, (returns, takes) in _SIGNATURES.items():
            function = getattr(self.c, name)
            function.restype, function.argtypes = returns, takes


@cache
def open_speexdsp() -> SpeexDsp | None:
    """The system's libspeexdsp; None if it isn't installed."""
    path = ctypes.util.find_library("speexdsp")
    return SpeexDsp(path) if path else None


class _Native:
    """Holds a state of the library's until it is closed, or goes out of scope."""

    def __init__(self, state: int | None, destroy: Callable[[int], None]) -> None:
        if state is None:
            raise MemoryError("libspeexdsp could not allocate a state")
        self._state: Final = state
        self._end = finalize(self, destroy, state)

    def close(self) -> None:
        """Frees the library's memory; may be called again."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _require_open(self) -> None:
        if not self._end.alive:
            raise ValueError("closed")


class SpeexEcho(_Native):
    """A linear echo canceller: MDF, its learning rate following the leakage, so that double talk slows it.

    Valin, On Adjusting the Learning Rate in Frequency Domain Echo Cancellation with Double-Talk, IEEE TASLP
    2007. Adds no delay. `near` comes out without its DC.
    """

    def __init__(self, library: SpeexDsp, *, frame: int = BLOCK, tail_ms: int = 128) -> None:
        """`frame`: samples at 8 kHz per call, 80 to 160 are advised; `tail_ms`: the longest echo path."""
        assert frame > 0, "a frame has samples"
        assert tail_ms > 0, "an echo path has a length"
        self._c = library.c
        self._buffers = _Buffers(3, frame)
        tail = tail_ms * RATE_HZ // 1_000
        super().__init__(self._c.speex_echo_state_init(frame, tail), self._c.speex_echo_state_destroy)
        self._c.speex_echo_ctl(self._state, _ECHO_SET_SAMPLING_RATE, ctypes.byref(ctypes.c_int(RATE_HZ)))

    def process(self, near: Samples, far: Samples) -> Samples:
        """Takes `far` out of `near`, both int16 and `frame` long; returns what is left, as long.

        Raises ValueError if one of them isn't like that, or after `close`.
        """
        self._buffers.fill(0, near)
        self._buffers.fill(1, far)
        self._require_open()
        self._c.speex_echo_cancellation(self._state, *self._buffers.addresses)
        return self._buffers.copy(2)


class SpeexPreprocess(_Native):
    """A noise suppressor: Ephraim and Malah's estimator, with noise tracked by minima; delays by a frame.

    Gain control and detection of voice are off, as the library has them.
    """

    def __init__(
        self, library: SpeexDsp, *, frame: int = BLOCK // 2, rate_hz: int = RATE_HZ, denoise_db: int = 25
    ) -> None:
        """`frame`: samples per call; `denoise_db`: the most that noise is attenuated by, above 0."""
        assert frame > 0, "a frame has samples"
        assert denoise_db > 0, "noise is to be attenuated"
        self._c = library.c
        self._buffers = _Buffers(1, frame)
        state = self._c.speex_preprocess_state_init(frame, rate_hz)
        super().__init__(state, self._c.speex_preprocess_state_destroy)
        # Without DENOISE the library skips all suppression, that of echo too.
        self._set(_PREPROCESS_SET_DENOISE, 1)
        self._set(_PREPROCESS_SET_NOISE_SUPPRESS, -denoise_db)

    def process(self, sound: Samples) -> Samples:
        """Takes and returns `frame` int16 samples. Raises ValueError for any others, or after `close`."""
        self._buffers.fill(0, sound)
        self._require_open()
        self._c.speex_preprocess_run(self._state, *self._buffers.addresses)
        return self._buffers.copy(0)

    def _set(self, request: int, value: int) -> None:
        self._c.speex_preprocess_ctl(self._state, request, ctypes.byref(ctypes.c_int(value)))


class _Buffers:
    """Memory of our own for the library to read and write, at addresses that stay."""

    def __init__(self, count: int, frame: int) -> None:
        self._shape = (frame,)
        self._samples = [np.zeros(frame, np.int16) for _ in range(count)]
        self.addresses: Final = [samples.ctypes.data for samples in self._samples]

    def fill(self, number: int, samples: Samples) -> None:
        if samples.shape != self._shape or samples.dtype != np.int16:
            raise ValueError(f"{samples.dtype} of shape {samples.shape} instead of int16 of {self._shape}")
        self._samples[number][:] = samples

    def copy(self, number: int) -> Samples:
        return self._samples[number].copy()
