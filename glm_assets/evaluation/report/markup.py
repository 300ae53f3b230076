"""HTML and SVG elements as escaped text: what comes from data can never become markup."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup, escape

_VOID: Final = frozenset({"img", "br", "hr", "wbr"})
"""Elements that have no end."""


def element(name: str, *children: object, **attributes: object) -> Markup:
    """One element with its children.

    Args:
        name: Tag name.
        children: Text, which is escaped, or markup, which is not.
        attributes: Their values are escaped; `None` leaves one out, `True` gives one without a value, a trailing
            underscore is dropped and inner ones become hyphens (`class_`, `data_series`, `text_anchor`).
    """
    if name in _VOID:
        return Markup(f"<{name}{_attributes(attributes)}>")  # noqa: S704 - every part is escaped
    inside = "".join([escape(child) for child in children])
    return Markup(f"<{name}{_attributes(attributes)}>{inside}</{name}>")  # noqa: S704 - every part is escaped


def _attributes(attributes: dict[str, object]) -> str:
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        name = key.rstrip("_").replace("_", "-")
        written.append(f" {name}" if value is True else f' {name}="{escape(value)}"')
    return "".join(written)


def link(text: str, url: str) -> Markup:
    """A hyperlink; an address of another kind than http, https or file is shown as text.

    Args:
        text: What is read.
        url: Where it leads.
    """
    if not url.startswith(("http://", "https://", "file://")):
        return escape(f"{text} ({url})")
    return element("a", text, href=url, rel="noreferrer")


def breakable(name: str) -> Markup:
    """A long identifier that may be broken after its underscores and hyphens.

    Args:
        name: For example `gene_consequence_rate`.
    """
    safe = escape(name)
    return Markup(str(safe).replace("_", "_<wbr>").replace("-", "-<wbr>"))  # noqa: S704 - escaped before
