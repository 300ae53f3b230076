"""Addresses and messages without the passwords and tokens that an address carries.

Rather too much is hidden than too little: a password may hold any character, so all up to the last `@` before the
query counts as one.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_HIDDEN = "***"
_QUERY = re.compile(r"\?(?=[\w.%-]+=)")
_SECRET = re.compile(
    r"([?&;][^=&;?]*(?:pass|pwd|secret|token|key|credential|auth|signature)[^=&;?]*=)([^&]*)", re.IGNORECASE
)
_SHORTEST = 4  # a shorter secret cannot be told from a part of an ordinary word


def mask(uri: str) -> str:
    """An address with its user and password and the secret-looking values of its query hidden."""
    scheme, user, rest = _parts(uri)
    return scheme + (f"{_HIDDEN}@" if user else "") + _SECRET.sub(rf"\1{_HIDDEN}", rest)


def bare(uri: str) -> str:
    """An address without user and query."""
    scheme, _, rest = _parts(uri)
    return scheme + _QUERY.split(rest, maxsplit=1)[0]


def mask_in(text: str, uri: str) -> str:
    """A message without the secrets of an address that it may quote, whole or in parts."""
    _, user, rest = _parts(uri)
    text = text.replace(uri, mask(uri))
    if user:
        text = text.replace(f"{user}@", f"{_HIDDEN}@")
    secrets = [user.partition(":")[2], *(value for _, value in _SECRET.findall(rest))]
    forms = {form for secret in secrets for form in (secret, unquote(secret)) if len(form) >= _SHORTEST}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, _HIDDEN)
    return text


def _parts(uri: str) -> tuple[str, str, str]:
    """Scheme with `://`, user and password without the `@`, and what follows."""
    scheme, mark, rest = uri.partition("://")
    if scheme.startswith("sqlite"):  # a path, in which an @ is one
        return scheme + mark, "", rest
    place = _QUERY.split(rest, maxsplit=1)[0]
    if "@" not in place and not _SECRET.search(rest):
        place = rest  # what looked like a query may be a part of the password
    user, at, _ = place.rpartition("@")
    return scheme + mark, user, rest[len(user + at) :]
