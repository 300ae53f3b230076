"""The pages' templates, style sheet and script, which are all written into each page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from glm_assets.storage.atomic import atomic_path


def write_page(
    path: Path, template: str, *, title: str, subtitle: str, contents: Sequence[tuple[str, str]], **values: object
) -> None:
    """Write a page that opens from disk and fetches nothing.

    Args:
        path: The HTML file, replaced when the new one is whole.
        template: File name; extends `base.html.j2`.
        title: Of the page.
        subtitle: Below it.
        contents: Anchor and heading of each part.
        values: Whatever else the template names; what is no markup is escaped.
    """
    text = (
        _environment()
        .get_template(template)
        .render(
            title=title,
            subtitle=subtitle,
            contents=contents,
            style=_asset("style.css"),
            script=_asset("script.js"),
            **values,
        )
    )
    with atomic_path(path) as draft:
        draft.write_text(text, encoding="utf-8")


@cache
def _environment() -> Environment:
    loader = PackageLoader("glm_assets.evaluation.report", "template")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)


@cache
def _asset(name: str) -> Markup:
    """A style sheet or script of this package, which needs no escaping."""
    return Markup((Path(__file__).parent / "template" / name).read_text(encoding="utf-8"))  # noqa: S704
