"""Curves as pictures: a page without scripts that MLflow's artifact viewer shows, drawn from the views' own data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from federatedml.views import Curve, Series

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 48
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
LETTER, ROW, SAMPLE = 8, 18, 20  # of the names of lines: a letter's width, a row's height, the room for its colour
MAX_POINTS = 500  # more cannot be told apart at this width
TICKS = 5
DIAGONAL = ("ROC_EVALUATION",)  # charts whose chance line is x = y


def page(curves: Sequence[Curve]) -> str:
    """All curves of a component as one self-contained HTML page."""
    pictures = "".join(svg(curve) for curve in curves)
    style = "<style>svg{vertical-align:top}</style>"
    return f'<!doctype html><meta charset="utf-8"><title>Curves</title>{style}\n{pictures}'


def svg(curve: Curve) -> str:
    """The curve as one SVG document; values that are not finite are left out."""
    lines = [(series.name, _points(series)) for series in curve.series]
    frame = _Frame([point for _, points in lines for point in points], unit=curve.metric_type in DIAGONAL)
    places = _legend([name for name, _ in lines])
    height = max((y for _, y in places), default=HEIGHT - ROW // 2) + ROW // 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{WIDTH / 2:g}" y="22" text-anchor="middle" font-size="15">{escape(curve.title)}</text>',
        *frame.axes(curve.x_label, curve.y_label),
    ]
    if curve.metric_type in DIAGONAL:
        parts.append(f'<path d="{frame.path([(0, 0), (1, 1)])}" fill="none" stroke="#999" stroke-dasharray="4 4"/>')
    for index, ((name, points), (x, y)) in enumerate(zip(lines, places, strict=True)):
        colour = COLOURS[index % len(COLOURS)]
        parts.append(f'<path d="{frame.path(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<rect x="{x}" y="{y - 6}" width="14" height="3" fill="{colour}"/>')
        parts.append(f'<text x="{x + SAMPLE}" y="{y}">{escape(_short(name))}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(names: Sequence[str]) -> list[tuple[int, int]]:
    """Where each line's sample begins and its name stands: rows below the drawing area, in columns of one width."""
    width = max((len(_short(name)) for name in names), default=0) * LETTER + SAMPLE + LETTER
    across = max(1, (WIDTH - LEFT) // width)
    return [(LEFT + index % across * width, HEIGHT + ROW // 2 + index // across * ROW) for index in range(len(names))]


def _short(name: str) -> str:
    most = (WIDTH - LEFT - RIGHT - SAMPLE) // LETTER
    return name if len(name) <= most else name[: most - 1] + "…"


class _Frame:
    """Maps data to the drawing area."""

    def __init__(self, points: Sequence[tuple[float, float]], unit: bool) -> None:
        self.x = (0.0, 1.0) if unit else _span([x for x, _ in points])
        self.y = (0.0, 1.0) if unit else _span([y for _, y in points])

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        return " ".join(
            f"{'L' if i else 'M'}{self._across(x):.1f} {self._down(y):.1f}" for i, (x, y) in enumerate(points)
        )

    def axes(self, x_label: str, y_label: str) -> list[str]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        parts = [f'<path d="M{LEFT} {TOP} V{bottom} H{right}" fill="none" stroke="#333"/>']
        for i in range(TICKS + 1):
            x, y = (low + (high - low) * i / TICKS for low, high in (self.x, self.y))
            across, down = self._across(x), self._down(y)
            parts.append(f'<path d="M{LEFT} {down:.1f} H{right}" stroke="#eee"/>')
            parts.append(f'<text x="{across:.1f}" y="{bottom + 16}" text-anchor="middle">{x:.4g}</text>')
            parts.append(f'<text x="{LEFT - 6}" y="{down + 4:.1f}" text-anchor="end">{y:.4g}</text>')
        middle = (TOP + bottom) / 2
        parts.append(
            f'<text x="{(LEFT + right) / 2:g}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>'
        )
        parts.append(
            f'<text transform="rotate(-90 14 {middle:g})" x="14" y="{middle:g}" text-anchor="middle">'
            f"{escape(y_label)}</text>"
        )
        return parts

    def _across(self, x: float) -> float:
        low, high = self.x
        return LEFT + (x - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def _down(self, y: float) -> float:
        low, high = self.y
        return HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def _points(series: Series) -> list[tuple[float, float]]:
    points = [(x, y) for x, y in zip(series.x, series.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    if len(points) <= MAX_POINTS:
        return points
    return [points[round(i * (len(points) - 1) / (MAX_POINTS - 1))] for i in range(MAX_POINTS)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
