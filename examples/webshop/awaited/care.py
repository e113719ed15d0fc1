"""What keeps a shop in order: stored data that is wrong, old orders, notes of what happened."""

from __future__ import annotations

import datetime as dt
from uuid import uuid4

from bson import ObjectId

from data_bridge import AsyncMongoClient, DuplicateKeyError
from data_bridge.odm import ValidationError

from .models import AuditEntry, Customer, Order, Review

BROKEN = ObjectId(b"\x7f" * 12)


async def break_a_review(client: AsyncMongoClient, name: str) -> None:
    """Another program stores what the model does not declare. Collections below models are there for everything."""
    broken = {"_id": BROKEN, "product": "B-00000", "customer": 7, "stars": "many"}
    await client[name]["reviews"].insert_one(broken)


async def read_what_fits(id: ObjectId) -> list[str]:
    """A wrong value is found when it is read; all others are there."""
    review = await Review.get(id)
    assert review is not None
    found = [f"product: {review.product.id}"]
    try:
        found.append(f"stars: {review.stars}")
    except ValidationError as error:
        found.append(f"{'.'.join(map(str, error.path))} of {error.id}: {error.found} where {error.expected} belongs")
    return found


async def inspect_reviews() -> list[ValidationError]:
    """Look at all documents, column by column: every value that does not fit, with `_id` and path."""
    try:
        await Review.find().validate()
    except ValidationError as error:
        return list(error.errors)
    return []


async def repair_reviews(errors: list[ValidationError]) -> int:
    """Delete what does not fit."""
    wrong = {error.id for error in errors}
    return (await Review.delete_many({"_id": {"$in": list(wrong)}})).deleted_count


async def refuse_mistakes(customer: Customer) -> list[str]:
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
        await Customer(id=uuid4(), name="Ada", email=customer.email, joined=customer.joined).insert()
    except DuplicateKeyError as refused:
        told.append(f"duplicate key: {refused.details['keyValue']}")
    return told


async def archive(client: AsyncMongoClient, name: str, before: dt.datetime) -> int:
    """Move old orders to another database: instances of the same model there, over the rows of one result."""
    Archived = Order.on(client[f"{name}_archive"])
    old = Order.find(Order.placed < before)
    moved = Archived.from_arrow(await old.read())
    await Archived.insert_many(moved)
    deleted = (await old.delete()).deleted_count
    assert deleted == await Archived.count()
    return deleted


async def note(about: str, what: str) -> int:
    """Write to the audit database; how many notes there are about this."""
    await AuditEntry(about=about, what=what).insert()
    return await AuditEntry.find(AuditEntry.about == about).count()
