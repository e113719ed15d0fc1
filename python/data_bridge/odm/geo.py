"""GeoJSON geometries as fields of models: `place: Point = Field(index="2dsphere")`.

Coordinates are longitude and latitude in degrees, in this order, and an altitude where there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .models.model import EmbeddedDocument

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LineString", "MultiLineString", "MultiPoint", "MultiPolygon", "Point", "Polygon"]


class Point(EmbeddedDocument):
    """One position: `Point(coordinates=[10.75, 59.91])`, or `Point.at(10.75, 59.91)`."""

    type: Literal["Point"] = "Point"
    coordinates: list[float]

    @classmethod
    def at(cls, longitude: float, latitude: float) -> Self:
        """Return the point at a longitude and a latitude, in degrees."""
        return cls(coordinates=[longitude, latitude])


class LineString(EmbeddedDocument):
    """A line through positions."""

    type: Literal["LineString"] = "LineString"
    coordinates: list[list[float]]


class Polygon(EmbeddedDocument):
    """An area: a closed ring of positions, and the rings of its holes."""

    type: Literal["Polygon"] = "Polygon"
    coordinates: list[list[list[float]]]


class MultiPoint(EmbeddedDocument):
    """Several positions."""

    type: Literal["MultiPoint"] = "MultiPoint"
    coordinates: list[list[float]]


class MultiLineString(EmbeddedDocument):
    """Several lines."""

    type: Literal["MultiLineString"] = "MultiLineString"
    coordinates: list[list[list[float]]]


class MultiPolygon(EmbeddedDocument):
    """Several areas."""

    type: Literal["MultiPolygon"] = "MultiPolygon"
    coordinates: list[list[list[list[float]]]]
