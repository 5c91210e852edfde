"""How fast the engines are, and what a call costs in memory, beside a plain Pipecat pipeline.

Speed: seconds of work for a second of sound (RTF; also in seconds of CPU, which others on the machine do
not lengthen), and how long a caller waits for the first clause or the text, alone and when 5, 10 or 20
callers ask in the same moment, on as many threads as a server has. Memory: a server of each kind, in a
process of its own, with 1, 5, 10 and 20 calls over simulated lines, all of them with the embedded engines.

    uv run python benchmarks/engines.py [--quick] [--json]
"""

import sys
from typing import Any, Final

from agent.scenario import load_scenario
from benchmarks import call_memory, harness
from benchmarks.call_memory import CALLS, PLAIN, ROLECALL, Plan
from benchmarks.harness import Report, Target
from benchmarks.scripted import SCENARIO
from rolecall.settings import CHECKOUT, load_settings

MEMORY_MB: Final = 8.0
"""Of a server, for each call after the first, at most."""


async def _measure(quick: bool) -> Report:
    # Here, because the server processes that are spawned import this module, and would hold all of it.
    from benchmarks import engine_speed
    from benchmarks.engine_speed import Effort

    scenario = load_scenario(CHECKOUT / "scenarios" / f"{SCENARIO}.yaml")
    speed = await engine_speed.measure(load_settings(), scenario, Effort(10, 1) if quick else Effort(40, 5))
    memory = await call_memory.measure(Plan(8, 25) if quick else Plan(25, 75))
    document: dict[str, Any] = {"engines": speed, "memory": memory}
    return Report(
        document, [_target(memory)], [engine_speed.table(speed), call_memory.table(memory)], _notes(memory)
    )


def _target(memory: dict[str, Any]) -> Target:
    extra = memory[ROLECALL]["per_extra_call_mb"]
    return Target(f"memory per extra call, {CALLS[0]} to {CALLS[-1]} calls", extra, MEMORY_MB, "MB")


def _notes(memory: dict[str, Any]) -> list[str]:
    ours, plain = (memory[name]["per_extra_call_mb"] for name in (ROLECALL, PLAIN))
    return [
        f"an extra call: {ours} MB in rolecall, {plain} MB in plain Pipecat, with trainee-tiny and espeak"
    ]


if __name__ == "__main__":
    sys.exit(harness.run(__doc__ or "", _measure))
