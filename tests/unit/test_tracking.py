import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated_operators.tracking.draw import HEIGHT, LEFT, MAX_POINTS, TOP, WIDTH, svg
from federated_operators.tracking.publish import metric_key
from federatedml.views import Curve, Series

SVG = "{http://www.w3.org/2000/svg}"


def paths(curve: Curve) -> list[list[tuple[float, float]]]:
    """Corners of the drawn lines."""
    found = ElementTree.fromstring(svg(curve)).iter(f"{SVG}path")  # noqa: S314 - our own text
    lines = [path.get("d", "") for path in found if path.get("stroke-width") == "2"]
    return [[tuple(map(float, p.split())) for p in d.replace("L", "M").split("M")[1:]] for d in lines]  # type: ignore[misc]


def curve(*series: Series, kind: str = "") -> Curve:
    return Curve("c", "title <&>", "x", "y", series, metric_type=kind)


def test_a_line_goes_through_its_points() -> None:
    (line,) = paths(curve(Series("loss", [0, 1, 2], [1.0, 0.5, 0.0])))
    across, down = zip(*line, strict=True)
    assert across[0] == LEFT
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.11)
    assert down[0] == TOP
    assert down == tuple(sorted(down))


def test_a_roc_curve_fills_the_unit_square_with_its_chance_line() -> None:
    roc = curve(Series("lr", [0.2, 0.4], [0.5, 0.9]), kind="ROC_EVALUATION")
    assert "stroke-dasharray" in svg(roc)
    (line,) = paths(roc)
    assert line[0][0] > LEFT + 50


def test_names_are_text_and_never_markup() -> None:
    text = svg(curve(Series("</text><script>alert(1)</script>", [0], [0])))
    assert "<script>" not in text
    assert "title &lt;&amp;&gt;" in text


@pytest.mark.parametrize("count", [1, 2, 12])
@pytest.mark.parametrize("name", ["loss", "validate_fold_0 validate", "n" * 200])
def test_names_stand_below_the_lines_and_apart(name: str, count: int) -> None:
    picture = ElementTree.fromstring(svg(curve(*[Series(name, [0, 1], [0, 1])] * count)))  # noqa: S314 - our own text
    texts = [text for text in picture.iter(f"{SVG}text") if (text.text or "").startswith(name[:60])]
    places = [(float(text.get("x", "")), float(text.get("y", ""))) for text in texts]
    assert len(set(places)) == count
    assert all(HEIGHT < y < float(picture.get("height", "")) for _, y in places)
    assert all(x > 0 and x + 7 * len(text.text or "") < WIDTH for (x, _), text in zip(places, texts, strict=True))
    heights = sorted({y for _, y in places})
    assert all(below - above >= 12 for above, below in pairwise(heights))


def test_a_long_line_is_thinned_and_keeps_its_ends() -> None:
    (line,) = paths(curve(Series("s", list(range(10_000)), [float(i) for i in range(10_000)])))
    assert len(line) == MAX_POINTS
    assert line[0][0] == LEFT
    assert line[-1][1] == TOP


@given(st.lists(st.tuples(st.floats(-1e12, 1e12) | st.just(float("nan")), st.floats() | st.just(0.0)), max_size=20))
def test_any_numbers_stay_inside_the_picture(points: list[tuple[float, float]]) -> None:
    series = Series("s", [x for x, _ in points], [max(min(y, 1e12), -1e12) if y == y else y for _, y in points])
    for line in paths(curve(series)):
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (("train", "loss"), "train/loss"),
        (("train", "a#b/c"), "train/a_23_b_2f_c"),
        (("", "loss"), "_/loss"),
        (("..", "loss"), "_/loss"),
        (("train", "Verlust ü.1-2"), "train/Verlust ü.1-2"),
    ],
)
def test_metric_names_fit_mlflow(parts: tuple[str, ...], key: str) -> None:
    assert metric_key(*parts) == key
