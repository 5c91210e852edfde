"""The form body of a Twilio webhook: all of it for the signature, and the few fields that we read."""

import re
from urllib.parse import parse_qsl

from agent.errors import ProtocolError

_WORD = "[a-z-]{1,32}"
_ADDRESS = r"[^\x00-\x1f\x7f]{0,256}"
_COUNT = "[0-9]{0,9}"
_FIELDS = {
    "CallSid": re.compile("CA[0-9a-fA-F]{32}"),
    "StreamSid": re.compile("MZ[0-9a-fA-F]{32}"),
    "From": re.compile(_ADDRESS),
    "To": re.compile(_ADDRESS),
    "Direction": re.compile(_WORD),
    "CallStatus": re.compile(_WORD),
    "StreamEvent": re.compile(_WORD),
    "StreamError": re.compile(".{0,2000}", re.DOTALL),
    "SequenceNumber": re.compile(_COUNT),
    "CallDuration": re.compile(_COUNT),
    "SipResponseCode": re.compile(_COUNT),
    "ErrorCode": re.compile(_COUNT),
}
"""What each field that we read may hold; an absent one reads as empty."""


class Form(dict[str, list[str]]):
    """Every field with all its values in the order sent, empty ones included."""

    @classmethod
    def parse(cls, body: bytes) -> "Form":
        """Reads `application/x-www-form-urlencoded`. Raises ProtocolError if it is not UTF-8."""
        try:
            fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True)
        except UnicodeDecodeError:
            raise ProtocolError("the body is not UTF-8") from None
        form = cls()
        for name, value in fields:
            form.setdefault(name, []).append(value)
        return form

    def getlist(self, name: str) -> list[str]:
        """The values of a field; the accessor that twilio's RequestValidator looks for."""
        return self[name]

    def text(self, name: str) -> str:
        """The one value of a field. Raises ProtocolError if it has several, or one it may not have."""
        values = set(self.get(name, [""]))
        if len(values) != 1 or not _FIELDS[name].fullmatch(value := values.pop()):
            raise ProtocolError(f"{name} is missing or malformed")
        return value

    def count(self, name: str) -> int | None:
        """The value of a field that holds a number, None if absent. Raises ProtocolError."""
        return int(digits) if (digits := self.text(name)) else None
