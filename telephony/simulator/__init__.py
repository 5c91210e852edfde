"""A local Twilio: REST, signed webhooks, TwiML, media streams, and handsets that measure what they hear."""

from telephony.simulator.calls import Call, CallDirection, CallStatus, LogEntry
from telephony.simulator.carrier import Simulator, open_simulator
from telephony.simulator.conditions import Direction, LineConditions, Stall
from telephony.simulator.handset import Handset, HungUp, Utterance
from telephony.simulator.playout import CarrierEvent, MarkEcho, PlayoutBuffer, Underrun
from telephony.simulator.settings import Destination, Outcome, SimulatorSettings
from telephony.simulator.sound import Samples

__all__ = [
    "Call",
    "CallDirection",
    "CallStatus",
    "CarrierEvent",
    "Destination",
    "Direction",
    "Handset",
    "HungUp",
    "LineConditions",
    "LogEntry",
    "MarkEcho",
    "Outcome",
    "PlayoutBuffer",
    "Samples",
    "Simulator",
    "SimulatorSettings",
    "Stall",
    "Underrun",
    "Utterance",
    "open_simulator",
]
