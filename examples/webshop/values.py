"""Values of the models: enums, embedded models, and the views that queries read instead of a model."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from decimal import Decimal
from typing import Literal

from data_bridge.odm import EmbeddedDocument, Field


class Status(enum.Enum):
    """State of an order."""

    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


class Size(enum.Enum):
    SMALL = "S"
    MEDIUM = "M"
    LARGE = "L"


class Address(EmbeddedDocument):
    street: str
    city: str
    country: str = "NO"
    postcode: str | None = None


class Point(EmbeddedDocument):
    """A place on the globe, as GeoJSON has it: longitude, then latitude."""

    type: Literal["Point"] = "Point"
    coordinates: tuple[float, float]


class Line(EmbeddedDocument):
    """A line of an order, with the price at the time of the order."""

    product: str
    quantity: int = 1
    price: Decimal


class Happened(EmbeddedDocument):
    """An entry in the history of an order."""

    what: Status
    at: dt.datetime


class CustomerCard(EmbeddedDocument):
    """A view of a customer: the server sends only these two values of the document."""

    name: str
    city: str | None = None

    class Settings:
        projection = {"name": 1, "city": "$home.city"}


class ProductSales(EmbeddedDocument):
    """A row of an aggregation: quantity and turnover of one product."""

    product: str = Field(alias="_id")
    sold: int
    turnover: Decimal


@dataclasses.dataclass
class Receipt:
    """An order for code that does not use models."""

    id: int
    placed: dt.datetime
    total: Decimal
