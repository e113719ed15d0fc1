"""The models of the shop."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from uuid import UUID

from bson import ObjectId

from data_bridge.odm import AsyncDocument, BackLink, Event, Field, Link, after_event, before_event

from ..values import Address, Happened, Line, Point, Size, Status


class Supplier(AsyncDocument):
    id: ObjectId
    name: str
    country: str = Field(default="NO", index=True)
    place: Point | None = Field(default=None, index="2dsphere")
    # The other end of Product.supplier: not stored, `fetch_links` reads it.
    products: list[BackLink[Product]] = Field(default_factory=list, original_field="supplier")

    class Settings:
        name = "suppliers"


class Product(AsyncDocument):
    """An article on sale. Books and garments are products with more fields, in the same collection."""

    id: str
    title: str
    price: Decimal
    stock: int = 0
    tags: list[str] = []
    measures: dict[str, float] = {}
    supplier: Link[Supplier]

    class Settings:
        name = "products"
        is_root = True
        # A concurrent change of the same product raises RevisionConflict.
        use_revision = True
        indexes = ["title", ("title", "text"), ["stock", "-price"], "supplier.id"]

    @after_event(Event.DELETE)
    async def note_deletion(self) -> None:
        await AuditEntry(about=self.id, what="deleted").insert()


class Book(Product):
    author: str
    pages: int | None = None


class Garment(Product):
    size: Size = Size.MEDIUM
    colors: list[str] = []


class Customer(AsyncDocument):
    id: UUID
    name: str
    email: str = Field(unique=True)
    points: int = 0
    joined: dt.date
    home: Address | None = None
    addresses: dict[str, Address] = {}
    favourites: set[str] = Field(default_factory=set)
    newsletter: bool | None = Field(default=None, alias="news")
    orders: list[BackLink[Order]] = Field(default_factory=list, original_field="customer")

    class Settings:
        name = "customers"
        indexes = [("points", -1), ["home.city", "name"]]

    @before_event(Event.INSERT, Event.SAVE)
    def tidy(self) -> None:
        self.email = self.email.strip().lower()


class Order(AsyncDocument):
    id: int
    customer: Link[Customer]
    lines: list[Line]
    status: Status = Status.PLACED
    placed: dt.datetime
    total: Decimal = Decimal(0)
    history: list[Happened] = []
    note: str | None = None

    class Settings:
        name = "orders"
        indexes = [["status", "-placed"], "customer.id"]

    @before_event(Event.INSERT)
    def add_up(self) -> None:
        self.total = sum((line.price * line.quantity for line in self.lines), Decimal(0))


class Review(AsyncDocument):
    id: ObjectId | None = None  # the default, declared for type checkers
    product: Link[Product]
    customer: Link[Customer]
    stars: int
    text: str | None = None

    class Settings:
        name = "reviews"
        indexes = ["product.id"]


class PageCount(AsyncDocument):
    """Number of requests for a page."""

    page: str = Field(unique=True)
    count_: int = Field(default=0, alias="count")

    class Settings:
        name = "page_counts"


class AuditEntry(AsyncDocument):
    """An entry of the audit log, in its own database."""

    about: str
    what: str

    class Settings:
        name = "audit"


SHOP: list[type[AsyncDocument]] = [Supplier, Product, Customer, Order, Review, PageCount]
