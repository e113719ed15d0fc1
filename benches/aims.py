"""Performance targets, compared with the measurements of several runs of `make bench`.

`python benches/aims.py run1.json run2.json run3.json --markdown docs/aims.md`; the files are the output of `--json`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from figures import Figures, Key, ShapeFigures, provenance
from report import table

FOUR = ("flat", "nested", "wide", "tweets")
OURS, MODELS, AWAITED = "data_bridge", "data_bridge.odm", "data_bridge.odm async"
SIZED = ("socket sized",)
MAPPERS = ("beanie", "mongoengine")


@dataclass
class Aim:
    """An upper limit of the ratio of one reader's figure to another's; a lower limit where more is better.

    Attributes
    ----------
    what
        The compared figures, for the page.
    job, reader
        Our job and reader.
    against
        (job, readers): the least figure of these.
    limit
        The same for all shapes, or one for each.
    least
        Theirs divided by ours, which is to be `limit` at least.
    figure
        Of the Measurement.
    """

    what: str
    job: str
    reader: str
    against: tuple[str, tuple[str, ...]]
    limit: float | Sequence[float]
    shapes: tuple[str, ...] = FOUR
    least: bool = False
    figure: str = "wall"

    def limits(self) -> Sequence[float]:
        return self.limit if isinstance(self.limit, Sequence) else [self.limit] * len(self.shapes)

    def ratio(self, shape: ShapeFigures) -> float | None:
        """Return the ratio of the minima of one run's rounds; None without a measurement."""
        job, readers = self.against
        mine = self.least_of(shape, (self.job, self.reader))
        theirs = [found for reader in readers if (found := self.least_of(shape, (job, reader))) is not None]
        if mine is None or not theirs:
            return None
        return min(theirs) / mine if self.least else mine / min(theirs)

    def least_of(self, shape: ShapeFigures, key: Key) -> float | None:
        found = [float(getattr(each, self.figure)) for each in shape.measurements.get(key, ())]
        return min(found, default=None)


AIMS = [
    Aim("the first `to_arrow` / the sized drain", "arrow", OURS, ("drain", SIZED), 1.2),
    Aim("the third `to_arrow` / the sized drain", "arrow, third read", OURS, ("drain", SIZED), 1.05),
    Aim("`to_arrow` / the driver's raw batches, dropped", "arrow", OURS, ("drain", ("data_bridge raw",)), 1.1),
    Aim("PyMongoArrow / `to_arrow`", "arrow", OURS, ("arrow", ("pymongoarrow",)), (4, 9, 4, 6), least=True),
    Aim("the same, client CPU", "arrow", OURS, ("arrow", ("pymongoarrow",)), 1, least=True, figure="cpu"),
    Aim("iterate, 1 field / the sized drain", "iterate 1", OURS, ("drain", SIZED), 1.2),
    Aim("`to_dicts` / PyMongo", "dicts", OURS, ("dicts", ("pymongo",)), 0.4),
    Aim("`to_polars` / `to_arrow`", "polars", OURS, ("arrow", (OURS,)), 1.1),
    Aim("`to_pandas` / `to_arrow`", "pandas", OURS, ("arrow", (OURS,)), 1.1),
    *(
        Aim(f"{job} / PyMongo", job, OURS, (job, ("pymongo",)), 0.95, ("flat", "nested"))
        for job in ("find_one", "find of 1", "find of 100")
    ),
    *(
        Aim(f"models, {job} / the socket", job, MODELS, (job, ("socket",)), 1.3, ("small",))
        for job in ("find many", "find many, first")
    ),
    *(
        Aim(
            f"models, read all / {name}",
            "models, read all",
            MODELS,
            ("models, read all", (reader,)),
            limit,
            ("nested",),
        )
        for name, reader, limit in (("lazy documents", "data_bridge documents", 1.5), ("PyMongo", "pymongo", 0.3))
    ),
    *(
        Aim(
            f"{reader[16:]} models, {job} / the faster of Beanie and MongoEngine".lstrip(),
            job,
            reader,
            (job, MAPPERS),
            1,
            ("small", "large"),
        )
        for reader in (MODELS, AWAITED)
        for job in ("create", "update", "find by filter", "find many", "find many, first", "find many, read all")
    ),
]


def lines(runs: Sequence[Figures]) -> list[list[str]]:
    """Return aim, shape, limit, the ratio of each run, and whether all runs met the aim."""
    found = []
    for aim in AIMS:
        for name, limit in zip(aim.shapes, aim.limits(), strict=True):
            ratios = [aim.ratio(run.shapes[name]) if name in run.shapes else None for run in runs]
            if all(ratio is None for ratio in ratios):
                continue
            bound = f"{'>=' if aim.least else '<='} {limit:g}"
            met = [ratio >= limit if aim.least else ratio <= limit for ratio in ratios if ratio is not None]
            verdict = "yes" if all(met) else "no" if not any(met) else f"{sum(met)} of {len(met)}"
            cells = ["" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
            found.append([aim.what, name, bound, *cells, verdict])
    return found


def page(runs: Sequence[Figures]) -> str:
    """The table as a page."""
    head = ["", "shape", "target", *(f"run {number}" for number in range(1, len(runs) + 1)), "met"]
    text = [
        "# Performance targets",
        "",
        *provenance(runs[-1].date, (run.command for run in runs), runs[-1].environment),
        "",
        "The most that reading may cost, or the least that another reader must cost, and the measured ratios.",
        "`benches/aims.py` takes the shortest of each run's rounds, because a disturbance only makes a measurement",
        "longer. Ratios are within one run. [Benchmarks](benchmarks.md) has medians and spreads.",
        "[Performance](performance.md) explains the targets that are missed.",
        "",
        *table(head, lines(runs)),
    ]
    return "\n".join(text) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, help="what compare.py wrote with --json")
    parser.add_argument("--markdown", type=Path, help="write the page there; it is printed otherwise")
    options = parser.parse_args()
    made = page([Figures.from_json(path.read_text()) for path in options.runs])
    if options.markdown:
        options.markdown.write_text(made)
    else:
        print(made)


if __name__ == "__main__":
    main()
