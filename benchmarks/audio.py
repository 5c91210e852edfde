"""The front end beside libraries that do the same, over the same signals, in one run.

Echo, noise, concealment, jitter, codec and resampler, the chain of them all, and turn-taking behind it. What
it compares with and measures by (SpeexDSP's Python package, WebRTC, RNNoise, PESQ, STOI) is the dependency
group "audio-references", which is installed on the first run; two of them are built then (apt install gcc
swig libspeexdsp-dev).

    uv run python benchmarks/audio.py [--quick] [--json] [--only PART ...] [--speech FOLDER]
"""

import sys
from pathlib import Path

FOLDER = str(Path(__file__).parent)


def be_the_package() -> None:
    """Programs of this folder have it first on their path, so that their `import audio` finds this file."""
    import importlib

    sys.path[:] = [place for place in sys.path if place != FOLDER]
    del sys.modules["audio"]
    importlib.import_module("audio")


if __name__ == "audio":
    be_the_package()
else:
    import argparse
    import asyncio
    import importlib.util
    import os
    import shutil
    from typing import Final

    from benchmarks import harness
    from benchmarks.harness import Report

    PARTS: Final = ("echo", "noise", "concealment", "jitter", "chain", "turns")
    REFERENCES: Final = ("livekit", "pesq", "pyrnnoise", "pystoi", "speexdsp")
    INSTALLED: Final = "--references-installed"

    async def measure(given: argparse.Namespace) -> Report:
        """Each part in turn: alone on the machine, as far as that goes."""
        from benchmarks.front_end import signals

        corpus = signals.recorded_corpus(given.speech) if given.speech else signals.synthetic_corpus()
        document, targets, tables, notes = {}, [], [], []
        for name in given.only or PARTS:
            part = importlib.import_module(f"benchmarks.front_end.{name}")
            section = await asyncio.to_thread(part.measure, corpus, quick=given.quick)
            document[name] = section.document
            targets += section.targets
            tables += section.tables
            notes += section.notes
        return Report(document, targets, tables, notes)

    def install_references() -> None:
        """Starts the program anew with what it compares with, if some of that is not here."""
        missing = [name for name in REFERENCES if importlib.util.find_spec(name) is None]
        uv = shutil.which("uv")
        if not missing or INSTALLED in sys.argv or uv is None:
            return
        arguments = ["uv", "run", "--group", "audio-references", "python", __file__, *sys.argv[1:], INSTALLED]
        sys.stdout.flush()
        os.execv(uv, arguments)  # noqa: S606

    if __name__ == "__main__":
        install_references()
        arguments = harness.command_line(__doc__ or "")
        arguments.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
        arguments.add_argument(
            "--speech", type=Path, metavar="FOLDER", help="recordings instead of espeak-ng"
        )
        arguments.add_argument(INSTALLED, action="store_true", help=argparse.SUPPRESS)
        sys.exit(harness.run_with(arguments, measure))
