"""The engines of one process: each ladder climbed once, each model loaded once, shared by all calls."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import structlog

from agent import persona
from agent.breaker import Breakers
from agent.entities import prepare as prepare_entities
from agent.errors import EngineError, EngineFailed
from agent.events import Part
from agent.guard import Guard
from agent.ladder import Chosen
from agent.manner import manner
from agent.memory import Heard
from agent.phrases import frequent_phrases
from agent.scenario import Scenario
from agent.speech import Recogniser, Speech, Synthesiser, Voice
from audio.front_end import warm_up as warm_up_front_end
from audio.realism import warm_up as warm_up_line
from audio.resample import Upsampler
from graphs.classify import MoveClassifier
from graphs.ladder import chat_models, for_call, open_wording
from graphs.persona import PersonaGraph
from graphs.wording import OnBroke as OnWordingBroke
from graphs.wording import Wording
from pipelines.call import CallEngines
from pipelines.engines.handover import Pools
from pipelines.engines.ladder import (
    choose_recogniser,
    choose_synthesiser,
    recognisers_below,
    recognisers_for,
    synthesisers_below,
    synthesisers_for,
)
from pipelines.engines.loading import Recognisers, StreamingSettings
from pipelines.engines.phrases import PhraseKey, Phrases
from pipelines.engines.rungs import CallRecogniser, CallSynthesiser
from pipelines.engines.services import streaming_service
from pipelines.engines.telephone import to_telephone
from pipelines.engines.workers import open_workers
from pipelines.line import line_realism
from pipelines.turns import SmartTurn, TurnModels, load_turn_models
from rolecall.engine_settings import (
    REMOTE_THREADS,
    SPEECH_THREADS,
    TURN_THREADS,
    recogniser_settings,
    streaming_settings,
    synthesiser_settings,
    wording_settings,
)
from rolecall.front_end import ChosenFrontEnd, choose_front_end
from rolecall.metrics import Metrics
from rolecall.settings import Settings

log = structlog.get_logger(__name__)

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
    pools: Pools
    phrases: Phrases
    graphs: Mapping[str, PersonaGraph]
    front_end: ChosenFrontEnd
    streaming: StreamingSettings | None = None
    hearing: Breakers = field(default_factory=Breakers)
    speaking: Breakers = field(default_factory=Breakers)
    breakers_of_wording: Breakers = field(default_factory=Breakers)

    @property
    def rungs(self) -> Sequence[Chosen[Any]]:
        """The rung in use of each ladder, and why."""
        return (self.recognisers, self.wording, self.synthesiser, *self.front_end.rungs)

    @property
    def behind(self) -> bool:
        """Whether the engines can't keep up with the calls that there are, let alone with another."""
        return self.pools.local.behind or self.pools.remote.behind

    def watch(self, metrics: Metrics) -> None:
        """Has the engines' queues and the cache of phrases measured."""
        for name, workers in (("local", self.pools.local), ("remote", self.pools.remote)):
            workers.on_wait = metrics.engine_wait_s.labels(name).observe
            metrics.engine_queue.labels(name).set_function(partial(getattr, workers, "depth"))
        metrics.phrases_cached_bytes.set_function(lambda: self.phrases.size_bytes)

    async def for_call(self, scenario: Scenario, on_broke: OnBroke) -> CallEngines:
        """One call's engines, with what each hands over to when it breaks. Raises EngineUnavailable."""
        caller, streaming = object(), self.streaming
        return CallEngines(
            recogniser=CallRecogniser(
                await self.pools.local.run(self._recognisers, scenario),
                pools=self.pools,
                breakers=self.hearing,
                on_broke=partial(on_broke, "speech_to_text"),
                caller=caller,
            ),
            synthesiser=CallSynthesiser(
                self._synthesisers(scenario),
                pools=self.pools,
                breakers=self.speaking,
                on_broke=partial(on_broke, "text_to_speech"),
                phrases=self.phrases,
                caller=caller,
            ),
            graph=self.graph_for(scenario, partial(on_broke, "wording")),
            turn_models=self.turn_models,
            front_end=self.front_end.settings,
            streaming=streaming_service(streaming, scenario.spoken_languages) if streaming else None,
        )

    def graph_for(self, scenario: Scenario, on_broke: OnWordingBroke) -> PersonaGraph:
        """The persona of one call, spoken or written; models word and perceive, if there are any."""
        wording = for_call(self.wording.engine, on_broke, self.breakers_of_wording)
        models = chat_models(self.wording.engine)
        if not models:
            return self.graphs[scenario.id].with_wording(wording)
        classifier = MoveClassifier(
            models[0],
            lambda engine, code: on_broke(engine, code, "patterns"),
            breaker=self.breakers_of_wording.of(f"{models[0].engine} as classifier"),
        )
        return self.graphs[scenario.id].with_wording(wording, classifier)

    def warming(self, scenario: Scenario, *, spare: bool) -> Iterator[Callable[[], object]]:
        """Yields pieces of work, none of them long, after which no caller waits for what is loaded when used.

        A turn is answered, spoken and understood once. What the persona says in every call is synthesised, by
        the best engine that costs nothing. With `spare` the recognisers that stand by are made ready, too;
        some keep a model for each scenario, which they then load when they are needed.
        """
        yield partial(_answer_once, scenario)
        if not scenario.line.is_clean:
            yield partial(warm_up_line, [line_realism(scenario)])
        voice = manner(scenario, {name: emotion.start for name, emotion in scenario.emotions.items()})
        spoken: list[Speech] = []
        for engine in self._synthesisers(scenario):
            for phrase in frequent_phrases(scenario) if not (engine.costs or spoken) else ():
                yield partial(self._speak_ahead, engine, phrase, voice, spoken)
                if not spoken:
                    break
        if spoken:
            yield partial(self._understand_once, scenario, spoken[-1], spare=spare)

    def _understand_once(self, scenario: Scenario, speech: Speech, *, spare: bool) -> None:
        audio = Upsampler().process(speech.samples).astype(np.float32) / np.float32(32_768)
        for number, recogniser in enumerate(self._recognisers(scenario)):
            if not recogniser.remote and (spare or number == 0):
                recogniser.recognise(audio)
        SmartTurn(self.turn_models).judge(audio)

    def _speak_ahead(self, engine: Synthesiser, phrase: str, voice: Voice, spoken: list[Speech]) -> None:
        try:
            speech = to_telephone(engine.synthesise(phrase, voice), voice.energy)
        except EngineFailed as error:
            log.warning("not_spoken_ahead", engine=engine.engine, reason=str(error))
            return
        self.phrases.put(PhraseKey(engine.engine, engine.model, voice, phrase), speech)
        spoken.append(speech)

    def _recognisers(self, scenario: Scenario) -> list[Recogniser]:
        return recognisers_for([self.recognisers.engine, *self.other_recognisers], scenario)

    def _synthesisers(self, scenario: Scenario) -> list[Synthesiser]:
        return synthesisers_for([self.synthesiser.engine, *self.other_synthesisers], scenario.persona.voice)


@asynccontextmanager
async def open_engines(settings: Settings, scenarios: Mapping[str, Scenario]) -> AsyncIterator[Engines]:
    """Loads everything. Raises EngineUnavailable if a named engine cannot be used."""
    front_end = choose_front_end(settings.audio)
    async with AsyncExitStack() as stack:
        workers = await stack.enter_async_context(open_workers(SPEECH_THREADS))
        waiting = await stack.enter_async_context(open_workers(REMOTE_THREADS, name="remote engine"))
        turn_thread = stack.enter_context(ThreadPoolExecutor(TURN_THREADS, thread_name_prefix="smart turn"))
        wording = await stack.enter_async_context(open_wording(wording_settings(settings)))
        speech = stack.enter_context(ExitStack())
        hearing = recogniser_settings(settings, scenarios)
        speaking = synthesiser_settings(settings, scenarios)
        recognisers = await workers.run(choose_recogniser, hearing, speech)
        synthesiser = await workers.run(choose_synthesiser, speaking, speech)
        engines = Engines(
            recognisers=recognisers,
            synthesiser=synthesiser,
            wording=wording,
            other_recognisers=await workers.run(recognisers_below, recognisers.name, hearing, speech),
            other_synthesisers=await workers.run(synthesisers_below, synthesiser.name, speaking, speech),
            turn_models=await workers.run(load_turn_models, turn_thread),
            pools=Pools(workers, waiting),
            phrases=Phrases(),
            graphs={name: PersonaGraph(scenario, wording.engine) for name, scenario in scenarios.items()},
            front_end=front_end,
            streaming=streaming_settings(settings),
        )
        await workers.run(warm_up_front_end, front_end.settings)
        await workers.run(prepare_entities)
        others = dict(scenarios)
        default = others.pop(settings.scenarios.default, None)
        if default is not None:
            for piece in engines.warming(default, spare=True):
                await workers.run(piece)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        warming = tasks.create_task(_warm_up_others(engines, others), name="warming up")
        stack.callback(warming.cancel)
        yield engines


async def _warm_up_others(engines: Engines, scenarios: Mapping[str, Scenario]) -> None:
    """One piece of work after the other, so that a call never waits for more than one."""
    for scenario in scenarios.values():
        try:
            for piece in engines.warming(scenario, spare=False):
                await engines.pools.local.run(piece)
        except EngineError as error:
            log.warning("not_warmed_up", scenario=scenario.id, reason=str(error))


def _answer_once(scenario: Scenario) -> None:
    decision = persona.decide(scenario, persona.begin(scenario, 0), Heard("Do you know what I mean?"))
    Guard(scenario, decision).feed(decision.authored)
