"""Maintenance: validate and repair stored data, archive old orders, write an audit log."""

from __future__ import annotations

import datetime as dt
from uuid import uuid4

from bson import ObjectId

from data_bridge import AsyncMongoClient, DuplicateKeyError
from data_bridge.odm import ValidationError

from .models import AuditEntry, Customer, Order, Review

BROKEN = ObjectId(b"\x7f" * 12)


async def break_a_review(client: AsyncMongoClient, name: str) -> None:
    """Store a document that does not fit the model, as another program might, through the collection below."""
    broken = {"_id": BROKEN, "product": "B-00000", "customer": 7, "stars": "many"}
    await client[name]["reviews"].insert_one(broken)


async def read_valid_fields(id: ObjectId) -> list[str]:
    """Read a document with an invalid value: only access to that field raises ValidationError."""
    review = await Review.get(id)
    assert review is not None
    found = [f"product: {review.product.id}"]
    try:
        found.append(f"stars: {review.stars}")
    except ValidationError as error:
        found.append(f"{'.'.join(map(str, error.path))} of {error.id}: {error.found} where {error.expected} belongs")
    return found


async def inspect_reviews() -> list[ValidationError]:
    """Validate all documents, column by column; return every value that does not fit, with `_id` and path."""
    try:
        await Review.find().validate()
    except ValidationError as error:
        return list(error.errors)
    return []


async def repair_reviews(errors: list[ValidationError]) -> int:
    """Delete the documents that do not fit."""
    invalid = {error.id for error in errors}
    return (await Review.delete_many({"_id": {"$in": list(invalid)}})).deleted_count


async def refuse_mistakes(customer: Customer) -> list[str]:
    """Return the errors of wrong values in a constructor and an assignment, and of a duplicate key from the server."""
    messages: list[str] = []
    try:
        Customer(id=customer.id, name="Ada", email="ada@example.com", joined="today")  # type: ignore[arg-type]
    except ValidationError as error:
        messages.append(str(error))
    try:
        customer.points = "many"  # type: ignore[assignment]
    except ValidationError as error:
        messages.append(str(error))
    try:
        await Customer(id=uuid4(), name="Ada", email=customer.email, joined=customer.joined).insert()
    except DuplicateKeyError as refused:
        messages.append(f"duplicate key: {refused.details['keyValue']}")
    return messages


async def archive(client: AsyncMongoClient, name: str, before: dt.datetime) -> int:
    """Move old orders to another database: as instances of the same model there, made from the rows of one result."""
    Archived = Order.on(client[f"{name}_archive"])
    old = Order.find(Order.placed < before)
    moved = Archived.from_arrow(await old.read())
    await Archived.insert_many(moved)
    deleted = (await old.delete()).deleted_count
    assert deleted == await Archived.count()
    return deleted


async def note(about: str, what: str) -> int:
    """Write an entry to the audit database; return the number of entries about the same subject."""
    await AuditEntry(about=about, what=what).insert()
    return await AuditEntry.find(AuditEntry.about == about).count()
