"""Figures as bars: multiples of the socket's time, per shape and reader, for the most common jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from figures import Figures

JOBS = ("arrow", "polars", "iterate 1", "dicts")
COLOURS = {
    "data_bridge": "#0b6e4f",
    "pymongo": "#b0b7bf",
    "pymongo RawBSONDocument": "#868e96",
    "pymongoarrow": "#e8a33d",
    "pymongoarrow threads": "#c9722b",
    "xlr8": "#7d6bb0",
}


def draw(figures: Figures, path: Path) -> None:
    """Write the chart as SVG. The same figures give the same bytes."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "data-bridge", "svg.fonttype": "none", "font.size": 9})
    import matplotlib.pyplot as plt

    drawn = [group for group in JOBS if any(group in shape.groups() for shape in figures.shapes.values())]
    if not drawn:
        raise SystemExit(f"nothing to draw: the chart shows the jobs {', '.join(JOBS)}")
    figure, places = plt.subplots(len(drawn), 1, figsize=(9, 2.6 * len(drawn) + 0.6), squeeze=False)
    for place, group in zip(places[:, 0], drawn, strict=True):
        bars(place, figures, group)
    made = ", ".join(f"{name} {value}" for name, value in figures.environment.items() if name in ("processor", "cores"))
    figure.suptitle("Wall time as a multiple of a bare socket's (1: dashed). Shorter is better.", fontsize=11)
    figure.text(0.5, 0.005, f"{figures.date}; {made}", ha="center", fontsize=7, color="#555555")
    figure.tight_layout(rect=(0, 0.02, 1, 0.98))
    figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None})


def bars(place: Any, figures: Figures, group: str) -> None:
    """One job: a cluster of bars per shape."""
    shapes = {name: shape for name, shape in figures.shapes.items() if group in shape.groups()}
    readers = [reader for reader in COLOURS if any(reader in shape.medians(group) for shape in shapes.values())]
    width = 0.8 / max(1, len(readers))
    for position, reader in enumerate(readers):
        at, heights, failures = [], [], []
        for index, shape in enumerate(shapes.values()):
            each, place_of_bar = shape.medians(group).get(reader), index + (position - (len(readers) - 1) / 2) * width
            if (group, reader) in shape.failed:
                failures.append(place_of_bar)
            elif each is not None:
                at.append(place_of_bar)
                heights.append(each.wall / shape.floor(group).wall)
        drawn = place.bar(at, heights, width * 0.92, label=reader, color=COLOURS[reader])
        place.bar_label(drawn, labels=[f"{height:.1f}" for height in heights], fontsize=7, padding=1)
        for failure in failures:
            place.annotate(
                "fails", (failure, 0), (0, 3), textcoords="offset points", ha="center", rotation=90, fontsize=7
            )
    place.axhline(1, color="#333333", linewidth=0.8, linestyle="--")
    place.set_xticks(range(len(shapes)), list(shapes))
    place.set_title(group, loc="left", fontweight="bold")
    place.spines[["top", "right"]].set_visible(False)
    place.margins(y=0.15)
    place.legend(fontsize=7, frameon=False, ncols=len(readers))
