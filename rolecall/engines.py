"""The engines of one process: each ladder climbed once, each model loaded once, shared by all calls."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from agent.events import Part
from agent.ladder import Chosen
from agent.scenario import Scenario
from agent.speech import Recogniser, Synthesiser
from audio.resample import Upsampler
from graphs.persona import PersonaGraph
from graphs.wording import Wording, for_call, open_wording
from pipelines.call import CallEngines
from pipelines.engines.fallback import FallbackRecogniser, FallbackSynthesiser
from pipelines.engines.ladder import (
    Recognisers,
    choose_recogniser,
    choose_synthesiser,
    recognisers_below,
    synthesisers_below,
)
from pipelines.engines.telephone import to_telephone
from pipelines.engines.workers import Workers, open_workers
from pipelines.turns import TurnModels, load_turn_models
from rolecall.engine_settings import SPEECH_THREADS, recogniser_settings, synthesiser_settings
from rolecall.settings import Settings

OnBroke = Callable[[Part, str, str, str], None]
"""Called with (part, engine, error code, the rung that takes over) when an engine breaks in mid-call."""


@dataclass(frozen=True, slots=True)
class Engines:
    """What `open_engines` opened: the rung in use of each ladder, and the rungs below it."""

    recognisers: Chosen[Recognisers]
    synthesiser: Chosen[Synthesiser]
    wording: Chosen[Wording]
    other_recognisers: Sequence[Recognisers]
    other_synthesisers: Sequence[Synthesiser]
    turn_models: TurnModels
    workers: Workers
    graphs: Mapping[str, PersonaGraph]

    @property
    def rungs(self) -> Sequence[Chosen[Any]]:
        """The rung in use of each ladder, and why."""
        return (self.recognisers, self.wording, self.synthesiser)

    async def for_call(self, scenario: Scenario, on_broke: OnBroke) -> CallEngines:
        """One call's engines, with what each hands over to when it breaks."""
        recognisers = await self.workers.run(self._recognisers, scenario)
        return CallEngines(
            recogniser=FallbackRecogniser(recognisers, partial(on_broke, "speech_to_text")),
            synthesiser=FallbackSynthesiser(
                [self.synthesiser.engine, *self.other_synthesisers], partial(on_broke, "text_to_speech")
            ),
            graph=self.graphs[scenario.id].with_wording(
                for_call(self.wording.engine, partial(on_broke, "wording"))
            ),
            turn_models=self.turn_models,
            workers=self.workers,
        )

    def warm_up(self, scenario: Scenario) -> None:
        """Speaks and understands once, so that no caller waits for what engines load at their first work."""
        speech = to_telephone(self.synthesiser.engine.synthesise(scenario.opening[0], scenario.persona.voice))
        audio = Upsampler().process(speech.samples).astype(np.float32) / np.float32(32_768)
        for recogniser in self._recognisers(scenario):
            recogniser.recognise(audio)

    def _recognisers(self, scenario: Scenario) -> list[Recogniser]:
        engines = [self.recognisers.engine, *self.other_recognisers]
        lines = scenario.expected_lines()
        return [engine.for_call(scenario.version, lines) for engine in engines]


@asynccontextmanager
async def open_engines(settings: Settings, scenarios: Mapping[str, Scenario]) -> AsyncIterator[Engines]:
    """Loads everything. Raises EngineUnavailable if a named engine cannot be used."""
    async with AsyncExitStack() as stack:
        workers = await stack.enter_async_context(open_workers(SPEECH_THREADS))
        turn_thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="smart turn"))
        wording = await stack.enter_async_context(
            open_wording(
                settings.wording.engine,
                settings.ollama_host,
                settings.ollama_model,
                settings.wording.answer_timeout_s,
            )
        )
        speech = stack.enter_context(ExitStack())
        hearing, speaking = recogniser_settings(settings), synthesiser_settings(settings, scenarios)
        recognisers = await workers.run(choose_recogniser, hearing, speech)
        synthesiser = await workers.run(choose_synthesiser, speaking, speech)
        engines = Engines(
            recognisers=recognisers,
            synthesiser=synthesiser,
            wording=wording,
            other_recognisers=await workers.run(recognisers_below, recognisers.name, hearing, speech),
            other_synthesisers=await workers.run(synthesisers_below, synthesiser.name, speaking, speech),
            turn_models=await workers.run(load_turn_models, turn_thread),
            workers=workers,
            graphs={name: PersonaGraph(scenario, wording.engine) for name, scenario in scenarios.items()},
        )
        for scenario in scenarios.values():
            await workers.run(engines.warm_up, scenario)
        yield engines
