"""What the numbers are a function of, as tables of facts."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from glm_assets.evaluation.report.data import Fact
from glm_assets.evaluation.report.markup import element, link


def fact_tables(facts: Mapping[str, Mapping[str, Fact]]) -> Markup:
    """One table per section of facts, in the given order.

    Args:
        facts: Section to name to fact.
    """
    tables = [_table(section, own) for section, own in facts.items() if own]
    missing = element("p", "Nothing is recorded about where these numbers come from.", class_="none")
    return Markup("").join(tables) if tables else missing


def _table(section: str, facts: Mapping[str, Fact]) -> Markup:
    rows = [
        element("tr", element("th", name, scope="row"), element("td", _shown(fact)))
        for name, fact in facts.items()
    ]
    body = element("table", element("caption", section), element("tbody", *rows), class_="facts")
    return element("div", body, class_="scroll")


def _shown(fact: Fact) -> Markup | str:
    return fact if isinstance(fact, str) else link(*fact)
