"""The TwiML documents that Twilio gets from us. Source: https://www.twilio.com/docs/voice/twiml"""

from collections.abc import Mapping

from twilio.twiml.voice_response import Connect, VoiceResponse  # type: ignore[import-untyped]

from agent.errors import CarrierError

_PARAMETER_LIMIT = 500


def connect_stream(
    *, media_url: str, status_url: str, after_url: str, parameters: Mapping[str, str], announcement: str
) -> str:
    """Speaks `announcement`, if any, connects the call to our websocket, and asks `after_url` what is next.

    Twilio comes to the redirect when we close the stream or the stream breaks, not when the caller hangs up.
    Raises CarrierError if a parameter is longer than Twilio carries.
    """
    response = VoiceResponse()
    if announcement:
        response.say(announcement)
    connect = Connect()
    stream = connect.stream(url=media_url, status_callback=status_url, status_callback_method="POST")
    for name, value in parameters.items():
        if len(name) + len(value) >= _PARAMETER_LIMIT:
            raise CarrierError(
                f"<Parameter> {name} is too long", hint=f"Twilio carries {_PARAMETER_LIMIT} characters"
            )
        stream.parameter(name=name, value=value)
    response.append(connect)
    response.redirect(after_url, method="POST")
    return str(response)


def hang_up(*, saying: str = "") -> str:
    """Ends the call, after a last sentence if there is one."""
    response = VoiceResponse()
    if saying:
        response.say(saying)
    response.hangup()
    return str(response)
