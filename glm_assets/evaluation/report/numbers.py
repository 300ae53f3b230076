"""How numbers are written on the page: the same digits everywhere, a dash where there is none."""

from __future__ import annotations

import math

ABSENT = "\N{EN DASH}"

MINUS = "\N{MINUS SIGN}"

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_PERCENT = "\u00a0%"


def known(value: float | None) -> bool:
    """Whether there is a number at all."""
    return value is not None and not math.isnan(value)


def decimal(value: float | None, digits: int = 3) -> str:
    """A number with a fixed count of decimals and a true minus sign.

    Args:
        value: The number, or None.
        digits: Decimals.
    """
    if value is None or math.isnan(value):
        return ABSENT
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.lstrip("-")


def signed(value: float | None, digits: int = 3) -> str:
    """A difference, with its sign unless it rounds to zero.

    Args:
        value: The difference, or None.
        digits: Decimals.
    """
    text = decimal(value, digits)
    return f"+{text}" if known(value) and value is not None and value > 0 and float(text) else text


def small(value: float | None, digits: int = 3) -> str:
    """A number of unknown magnitude, such as a distance.

    Args:
        value: The number, or None.
        digits: Significant ones.
    """
    if value is None or math.isnan(value):
        return ABSENT
    if not value:
        return "0"
    power = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))  # of the rounded number
    if -3 <= power < digits:
        return decimal(value, digits - 1 - power)
    mantissa = decimal(value / 10.0**power, digits - 1)
    return f"{mantissa}·10{str(power).translate(SUPERSCRIPT)}"


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """An interval in brackets, or nothing where it is unknown.

    Args:
        low: Its lower end.
        high: Its upper end.
        digits: Decimals.
    """
    return f"[{decimal(low, digits)}, {decimal(high, digits)}]" if known(low) and known(high) else ""


def count(value: int | None) -> str:
    """A whole number with thousands separators."""
    return ABSENT if value is None else f"{value:,}"


def share(part: int, whole: int) -> str:
    """A part of a whole in percent."""
    return percent(part / whole) if whole else ABSENT


def percent(part: float) -> str:
    """A share of 0 to 1 in percent; the sign stays on the number's line."""
    return f"{100 * part:.1f}{_PERCENT}"
