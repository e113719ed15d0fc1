"""What keeps a shop in order: stored data that is wrong, old orders, notes of what happened."""

from __future__ import annotations

import datetime as dt
from uuid import uuid4

from bson import ObjectId

from data_bridge import DuplicateKeyError, MongoClient
from data_bridge.odm import ValidationError

from .models import AuditEntry, Customer, Order, Review

BROKEN = ObjectId(b"\x7f" * 12)


def break_a_review(client: MongoClient, name: str) -> None:
    """Another program stores what the model does not declare. Collections below models are there for everything."""
    broken = {"_id": BROKEN, "product": "B-00000", "customer": 7, "stars": "many"}
    client[name]["reviews"].insert_one(broken)


def read_what_fits(id: ObjectId) -> list[str]:
    """A wrong value is found when it is read; all others are there."""
    review = Review.get(id)
    assert review is not None
    found = [f"product: {review.product.id}"]
    try:
        found.append(f"stars: {review.stars}")
    except ValidationError as error:
        found.append(f"{'.'.join(map(str, error.path))} of {error.id}: {error.found} where {error.expected} belongs")
    return found


def inspect_reviews() -> list[ValidationError]:
    """Look at all documents, column by column: every value that does not fit, with `_id` and path."""
    try:
        Review.find().validate()
    except ValidationError as error:
        return list(error.errors)
    return []


def repair_reviews(errors: list[ValidationError]) -> int:
    """Delete what does not fit."""
    wrong = {error.id for error in errors}
    return Review.delete_many({"_id": {"$in": list(wrong)}}).deleted_count


def refuse_mistakes(customer: Customer) -> list[str]:
    """Mistakes are raised before anything is sent: in constructors, in assignments, and by the server's indexes."""
    told: list[str] = []
    try:
        Customer(id=customer.id, name="Ada", email="ada@example.com", joined="today")  # type: ignore[arg-type]
    except ValidationError as error:
        told.append(str(error))
    try:
        customer.points = "many"  # type: ignore[assignment]
    except ValidationError as error:
        told.append(str(error))
    try:
        Customer(id=uuid4(), name="Ada", email=customer.email, joined=customer.joined).insert()
    except DuplicateKeyError as refused:
        told.append(f"duplicate key: {refused.details['keyValue']}")
    return told


def archive(client: MongoClient, name: str, before: dt.datetime) -> int:
    """Move old orders to another database: instances of the same model there, over the rows of one result."""
    Archived = Order.on(client[f"{name}_archive"])
    old = Order.find(Order.placed < before)
    moved = Archived.from_arrow(old.read())
    Archived.insert_many(moved)
    deleted = old.delete().deleted_count
    assert deleted == Archived.count()
    return deleted


def note(about: str, what: str) -> int:
    """Write to the audit database; how many notes there are about this."""
    AuditEntry(about=about, what=what).insert()
    return AuditEntry.find(AuditEntry.about == about).count()
