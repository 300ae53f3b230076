"""Charts as SVG text: lines, bands, steps, points and rules on two axes. Nothing else than the text is needed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from glm_assets.evaluation.report.axes import Axis
from glm_assets.evaluation.report.markup import element


@dataclass
class Chart:
    """A chart that is being drawn.

    Attributes:
        title: Read aloud for those who cannot see it.
        x: Horizontal axis.
        y: Vertical axis.
        width: Of the whole drawing, in its own units.
        height: Likewise.
        left: Margin for the vertical axis's numbers.
        bottom: Margin for the horizontal axis's.
        hover: Whether the page's script shows the nearest point under the pointer.
    """

    title: str
    x: Axis
    y: Axis
    width: int = 460
    height: int = 340
    left: int = 52
    bottom: int = 42
    hover: bool = False
    _parts: list[Markup] = field(default_factory=list)

    _TOP = 10
    _RIGHT = 12

    def line(
        self, x: ArrayLike, y: ArrayLike, *, colour: str, dash: str = "", name: str = "", width: float = 1.6
    ) -> None:
        """A line through points (n,), as a series that its legend entry can hide."""
        drawn = element(
            "polyline", points=self._points(x, y), stroke=colour, stroke_dasharray=dash or None, stroke_width=width
        )
        self._parts.append(_series(name, drawn))

    def area(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, *, colour: str, opacity: float = 0.2) -> None:
        """What lies between two lines over the same points (n,)."""
        xs = np.asarray(x, dtype=np.float64)
        around = self._points(np.r_[xs, xs[::-1]], np.r_[np.asarray(low), np.asarray(high)[::-1]])
        self._parts.append(element("polygon", points=around, fill=colour, fill_opacity=opacity))

    def steps(self, edges: ArrayLike, heights: ArrayLike, *, colour: str) -> None:
        """A histogram's outline, filled: n + 1 edges and n heights."""
        e, h = np.asarray(edges, dtype=np.float64), np.asarray(heights, dtype=np.float64)
        x, y = np.repeat(e, 2), np.r_[0.0, np.repeat(h, 2), 0.0]
        around = self._points(x, y)
        self._parts.append(element("polygon", points=around, fill=colour, fill_opacity=0.35, stroke=colour))

    def dots(
        self, x: ArrayLike, y: ArrayLike, *, colour: str, name: str = "", radius: float = 3.0, hollow: bool = False
    ) -> None:
        """Points (n,)."""
        px, py = self._pixels(x, y)
        fill = "#fff" if hollow else colour
        drawn = [
            element("circle", cx=f"{a:.1f}", cy=f"{b:.1f}", r=radius, fill=fill, stroke=colour)
            for a, b in zip(px, py, strict=True)
        ]
        self._parts.append(_series(name, *drawn))

    def rule(self, *, x: float | None = None, y: float | None = None, colour: str, dash: str = "3 3") -> None:
        """A straight line at one value, across the whole chart."""
        xs = (self.x.low, self.x.high) if x is None else (x, x)
        ys = (self.y.low, self.y.high) if y is None else (y, y)
        self._straight(xs, ys, colour, dash)

    def diagonal(self, colour: str) -> None:
        """The line on which both values are the same."""
        self._straight((self.x.low, self.x.high), (self.y.low, self.y.high), colour, "3 3")

    def render(self) -> Markup:
        """The drawing."""
        return element(
            "svg",
            element("title", self.title),
            self._grid(),
            element("g", *self._parts, class_="marks", fill="none"),
            viewBox=f"0 0 {self.width} {self.height}",
            class_="chart hover" if self.hover else "chart",
            role="img",
            style=f"max-width:{self.width}px",
            data_frame=self._frame() if self.hover else None,
            data_x=self.x.label if self.hover else None,
            data_y=self.y.label if self.hover else None,
        )

    def _straight(self, x: tuple[float, float], y: tuple[float, float], colour: str, dash: str) -> None:
        (x1, x2), (y1, y2) = self._pixels(x, y)
        ends = {"x1": _at(x1), "x2": _at(x2), "y1": _at(y1), "y2": _at(y2)}
        self._parts.append(element("line", stroke=colour, stroke_dasharray=dash or None, **ends))

    def _frame(self) -> str:
        """Where the axes lie and what they span, for the script."""
        x, y = self._span()
        numbers = [*x, self.x.low, self.x.high, int(self.x.log), *y, self.y.low, self.y.high, int(self.y.log)]
        return " ".join(f"{number:g}" for number in numbers)

    def _grid(self) -> Markup:
        (x0, x1), (y0, y1) = self._span()
        parts = [element("line", x1=x0, x2=x1, y1=y0, y2=y0, class_="axis")]
        for value, text in self.x.ticks:
            at = float(self._pixels(value, self.y.low)[0])
            parts += [
                element("line", x1=_at(at), x2=_at(at), y1=y0, y2=y0 + 4, class_="axis"),
                element("text", text, x=_at(at), y=y0 + 16, text_anchor="middle"),
            ]
        for value, text in self.y.ticks:
            at = float(self._pixels(self.x.low, value)[1])
            parts += [
                element("line", x1=x0, x2=x1, y1=_at(at), y2=_at(at), class_="grid"),
                element("text", text, x=x0 - 6, y=_at(at + 3.5), text_anchor="end"),
            ]
        turned = f"translate(12 {(y0 + y1) / 2:.0f}) rotate(-90)"
        below = {"x": _at((x0 + x1) / 2), "y": self.height - 4}
        parts += [
            element("text", self.x.label, class_="label", text_anchor="middle", **below),
            element("text", self.y.label, class_="label", text_anchor="middle", transform=turned),
        ]
        return element("g", *parts, class_="grid")

    def _span(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Pixels at the start and the end of both axes."""
        return (self.left, self.width - self._RIGHT), (self.height - self.bottom, self._TOP)

    def _pixels(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        (x0, x1), (y0, y1) = self._span()
        return x0 + (x1 - x0) * self.x.place(x), y0 + (y1 - y0) * self.y.place(y)

    def _points(self, x: ArrayLike, y: ArrayLike) -> str:
        px, py = self._pixels(x, y)
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))


def _series(name: str, *marks: Markup) -> Markup:
    return element("g", *marks, class_="series", data_series=name or None)


def _at(value: float) -> str:
    return f"{value:.1f}"
