"""A protocol as a picture: a lifeline per role, an arrow per message, a frame around what is repeated. Plain SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from airfed.sequence import Line, Loop, Step, lines
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries

ORDER = (Role.GUEST, Role.HOST, Role.ARBITER)
GAP, LEFT, TOP, ROW, LEVEL = 240, 120, 64, 34, 16  # pixels
OWN = 34  # of the arrow from hosts to hosts
FONT = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
INK, PALE, PAPER = "#1f2933", "#9aa5b1", "#ffffff"
COLOURS: Mapping[Carries, str] = {
    Carries.CONTROL: "#52606d",
    Carries.PUBLIC_KEY: "#00838f",
    Carries.CIPHERTEXT: "#1565c0",
    Carries.BLINDED_IDS: "#1565c0",
    Carries.HASHED_IDS: "#c62828",
    Carries.SHARED_IDS: "#ad5700",
    Carries.RANDOMNESS: "#6a1b9a",
    Carries.MASKED: "#2e7d32",
    Carries.SHARES: "#00695c",
    Carries.AGGREGATE: "#ad5700",
    Carries.ROW_VALUES: "#c62828",
}


@dataclass
class _Drawing:
    """What is drawn so far; ``y`` is where the next line goes."""

    places: Mapping[Role, int]
    colours: Mapping[str, str]
    y: int = TOP - 8
    shapes: list[str] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        return max(self.places.values()) + LEFT


def picture(steps: Sequence[Step], carries: Mapping[str, Carries], title: str) -> str:
    """The protocol as an SVG document.

    Args:
        carries: topic -> what its messages carry, which gives the colour of their arrows.
        title: for people who cannot see it.
    """
    roles = _roles(steps)
    places = {role: LEFT + at * GAP for at, role in enumerate(role for role in ORDER if role in roles)}
    drawing = _Drawing(places, {topic: COLOURS[kind] for topic, kind in carries.items()})
    _draw(drawing, steps, 0)
    bottom = drawing.y + 4
    kinds = dict.fromkeys(carries[line.topic] for line in lines(steps))
    legend, height = _legend(list(kinds), bottom + 30, drawing.width)
    heads = [_lifeline(role, x, bottom) for role, x in places.items()]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{drawing.width}" height="{height}" '
            f'viewBox="0 0 {drawing.width} {height}" role="img" font-family="{FONT}" font-size="12">',
            f"<title>{escape(title)}</title>",
            f'<rect width="100%" height="100%" fill="{PAPER}"/>',
            *drawing.frames,
            *heads,
            *drawing.shapes,
            *legend,
            "</svg>\n",
        ]
    )


def _draw(drawing: _Drawing, steps: Sequence[Step], depth: int) -> None:
    for step in steps:
        if isinstance(step, Loop):
            _frame(drawing, step, depth)
        else:
            _line(drawing, step)


def _frame(drawing: _Drawing, loop: Loop, depth: int) -> None:
    inset = 8 + depth * LEVEL
    top, at = drawing.y + 9, len(drawing.frames)
    drawing.y = top + 8
    _draw(drawing, loop.steps, depth + 1)
    drawing.y += 10
    height = drawing.y - top
    drawing.frames.insert(
        at,
        f'<rect x="{inset}" y="{top}" width="{drawing.width - 2 * inset}" height="{height}" rx="6" '
        f'fill="#f5f7fa" stroke="{PALE}" stroke-dasharray="4 3"/>'
        f'<text x="{inset + 8}" y="{top + 15}" fill="{INK}" font-size="11">{loop.times} times in this run</text>',
    )


def _line(drawing: _Drawing, line: Line) -> None:
    colour = drawing.colours[line.topic]
    both = {frozenset(way) for way in line.ways}
    for number, pair in enumerate(sorted(both, key=sorted)):
        ends = sorted(drawing.places[role] for role in pair)
        middle = ends[0] if len(ends) == 1 else (ends[0] + ends[-1]) / 2
        drawing.y += ROW if number == 0 else ROW - 6
        if number == 0:
            drawing.shapes.append(_label(middle, drawing.y - 6, line.topic, colour, own=len(ends) == 1))
        drawing.shapes.append(_arrow(drawing, line, pair, colour))


def _arrow(drawing: _Drawing, line: Line, pair: frozenset[Role], colour: str) -> str:
    y = drawing.y
    if len(pair) == 1:
        x = drawing.places[next(iter(pair))]
        path = f"M{x} {y} h{OWN} v12 h-{OWN - 7}"
        drawing.y += 12
        return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>{_head(x, y + 12, -1, colour)}'
    one, other = sorted(pair, key=lambda role: drawing.places[role])
    left, right = drawing.places[one], drawing.places[other]
    heads = [_head(right, y, 1, colour)] if (one, other) in line.ways else []
    heads += [_head(left, y, -1, colour)] if (other, one) in line.ways else []
    return f'<path d="M{left} {y} H{right}" stroke="{colour}" stroke-width="1.6"/>{"".join(heads)}'


def _head(x: float, y: float, way: int, colour: str) -> str:
    return f'<path d="M{x} {y} l{-9 * way} -4.5 v9 z" fill="{colour}"/>'


def _label(x: float, y: float, text: str, colour: str, own: bool) -> str:
    place = f'x="{x + OWN + 8}" y="{y + 16}"' if own else f'x="{x:g}" y="{y}" text-anchor="middle"'
    halo = f'paint-order="stroke" stroke="{PAPER}" stroke-width="3" stroke-linejoin="round"'
    return f'<text {place} fill="{colour}" {halo}>{escape(text)}</text>'


def _lifeline(role: Role, x: int, bottom: int) -> str:
    name = "each host" if role is Role.HOST else str(role)
    return (
        f'<path d="M{x} {TOP - 10} V{bottom}" stroke="{PALE}"/>'
        f'<rect x="{x - 52}" y="24" width="104" height="30" rx="6" fill="#e4e7eb" stroke="{PALE}"/>'
        f'<text x="{x}" y="44" text-anchor="middle" font-size="13" font-weight="600" fill="{INK}">{name}</text>'
    )


def _legend(kinds: Sequence[Carries], y: int, width: int) -> tuple[list[str], int]:
    """A swatch per kind of content, in rows; and where the picture ends."""
    shapes, x = [], 16
    for kind in kinds:
        length = 34 + 6.6 * len(kind)
        if x + length > width - 8 and x > 16:
            x, y = 16, y + 20
        shapes.append(f'<path d="M{x} {y - 4} h16" stroke="{COLOURS[kind]}" stroke-width="3"/>')
        shapes.append(f'<text x="{x + 22}" y="{y}" fill="{INK}" font-size="11">{escape(str(kind))}</text>')
        x += int(length)
    return shapes, y + 16


def _roles(steps: Sequence[Step]) -> set[Role]:
    return {role for line in lines(steps) for way in line.ways for role in way}
