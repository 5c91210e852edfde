"""WAV files, as a telephone would carry them."""

import io
import struct
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.io import wavfile

from agent.errors import ConfigError
from audio.blocks import RATE_HZ, Samples

_RATES_HZ: Final = (4_000, 384_000)
_A_WAV: Final = "It has to be a PCM WAV file, of any rate and number of channels"
_DAMAGED: Final = (ValueError, TypeError, ArithmeticError, NameError, struct.error)
"""What scipy raises for a file that is none, or torn."""


def read_telephone(path: Path) -> Samples:
    """Reads a WAV of any kind as mono int16 at 8 kHz; one that is that already comes out bit by bit.

    Raises ConfigError, which names the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # notes of the recorder, a missing end
            rate_hz, data = wavfile.read(io.BytesIO(path.read_bytes()))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint=_A_WAV) from error
    except _DAMAGED as error:
        raise ConfigError(f"{path} cannot be read: it is no PCM WAV file", hint=_A_WAV) from error
    if not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
        raise ConfigError(f"{path} cannot be used: its rate is {rate_hz} Hz", hint=_A_WAV)
    samples = _in_unit_range(data)
    mono = samples.mean(axis=1) if samples.ndim > 1 else samples
    divisor = int(np.gcd(rate_hz, RATE_HZ))
    narrow = signal.resample_poly(mono, RATE_HZ // divisor, rate_hz // divisor)
    return np.clip(np.rint(narrow * 32_768.0), -32_768, 32_767).astype(np.int16)


def write_telephone(path: Path, samples: Samples) -> None:
    """Writes mono int16 at 8 kHz as a WAV. Raises ConfigError, which names the file."""
    try:
        wavfile.write(path, RATE_HZ, samples)
    except OSError as error:
        hint = "Name a file in a folder that you may write to"
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint=hint) from error


def _in_unit_range(data: NDArray[Any]) -> NDArray[np.float64]:
    """PCM of any type as float64 in [-1, 1]."""
    if data.dtype == np.uint8:
        return (data.astype(np.float64) - 128.0) / 128.0
    if data.dtype.kind == "i":
        return data.astype(np.float64) / -float(np.iinfo(data.dtype).min)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.clip(np.nan_to_num(data.astype(np.float64)), -1.0, 1.0)
