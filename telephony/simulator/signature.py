"""Twilio's request signature: HMAC-SHA1 over the URL and the sorted form fields.

https://www.twilio.com/docs/usage/security#validating-requests
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable


def sign(url: str, fields: Iterable[tuple[str, str]], auth_token: str) -> str:
    """Returns the value of `X-Twilio-Signature` for `url` as sent, query included and fragment not."""
    text = url + "".join(name + value for name, value in sorted(set(fields)))
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()
