"""A web API on models: bodies and responses in FastAPI, and large results as NDJSON and Arrow in bounded memory.

    pip install fastapi uvicorn pyarrow
    MONGODB_URI=mongodb://localhost:27017 uvicorn --app-dir examples web_api:app

The models are the schemas: FastAPI validates bodies by their annotations and constraints, and http://localhost:8000/docs
shows them.
"""

from __future__ import annotations

import datetime as dt
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated

import pyarrow as pa
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

import data_bridge
from data_bridge import AsyncMongoClient
from data_bridge.odm import (
    AsyncDocument,
    EmbeddedDocument,
    Field,
    Link,
    PydanticObjectId,
    ValidationError,
    field_validator,
    init,
)

CHUNK = 1 << 16
"""Bytes of NDJSON that are sent at once."""


class Address(EmbeddedDocument):
    street: str
    city: str = Field(min_length=1)


class Customer(AsyncDocument):
    """A person who orders."""

    name: str = Field(min_length=1, max_length=80, description="The name on the parcel")
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", unique=True)
    age: int | None = Field(default=None, ge=0, le=150)
    address: Address | None = None
    tags: list[Annotated[str, Field(max_length=20)]] = Field(default_factory=list, max_length=10)
    joined: dt.datetime = Field(default_factory=lambda: dt.datetime.now(dt.timezone.utc))

    class Settings:
        name = "customers"

    @field_validator("email", mode="before")
    @classmethod
    def lower(cls, email: object) -> object:
        return email.lower() if isinstance(email, str) else email


class CustomerChange(EmbeddedDocument):
    """The fields that a client may change; those that it leaves out stay as they are."""

    name: str = Field(default="-", min_length=1, max_length=80)
    age: int | None = Field(default=None, ge=0, le=150)
    address: Address | None = None


class Line(EmbeddedDocument):
    product: str
    quantity: int = Field(default=1, ge=1)
    price: Decimal = Field(ge=0, decimal_places=2)


class Order(AsyncDocument):
    customer: Link[Customer]
    lines: list[Line] = Field(min_length=1)
    placed: dt.datetime = Field(default_factory=lambda: dt.datetime.now(dt.timezone.utc))

    class Settings:
        name = "orders"
        indexes = ["customer.id"]


class Page(BaseModel):
    """Models of the package in a model of pydantic."""

    total: int
    customers: list[Customer]


def create_app(uri: str, database: str) -> FastAPI:
    """Return the application on a database."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncMongoClient(uri, tz_aware=True) as client:
            await init(client[database], [Customer, Order])
            yield

    app = FastAPI(title="Orders", lifespan=lifespan)

    @app.exception_handler(ValidationError)
    async def refuse(_: Request, error: ValidationError) -> JSONResponse:
        """Report what assignments and writes refuse in the form of FastAPI's own errors."""
        errors = [{"type": "value_error", "loc": ["body", *each.path], "msg": str(each)} for each in error.errors]
        return JSONResponse({"detail": errors}, status_code=422)

    @app.post("/customers", status_code=201)
    async def add_customer(customer: Customer) -> Customer:
        try:
            return await customer.insert()
        except data_bridge.DuplicateKeyError:
            raise HTTPException(409, "there is a customer with this address") from None

    @app.get("/customers")
    async def list_customers(skip: int = 0, limit: Annotated[int, Query(le=1000)] = 100) -> Page:
        found = Customer.find().sort("_id")
        return Page(total=await found.count(), customers=await found.skip(skip).limit(limit).to_list())

    @app.get("/customers/{id}")
    async def get_customer(id: PydanticObjectId) -> Customer:
        return await found(id)

    @app.patch("/customers/{id}")
    async def change_customer(id: PydanticObjectId, change: CustomerChange) -> Customer:
        customer = await found(id)
        for name, value in change.model_dump(exclude_unset=True).items():
            setattr(customer, name, value)
        return await customer.save()

    @app.delete("/customers/{id}", status_code=204)
    async def remove_customer(id: PydanticObjectId) -> None:
        await (await found(id)).delete()

    @app.post("/orders", status_code=201)
    async def add_order(order: Order) -> Order:
        return await order.insert()

    @app.get("/customers/{id}/orders")
    async def orders_of(id: PydanticObjectId) -> list[Order]:
        return await Order.find(Order.customer.id == id).sort("placed").to_list()

    @app.get("/orders.ndjson")
    async def orders_as_lines() -> StreamingResponse:
        """Return one order on each line. The next ones are read when the client has taken the last."""
        return StreamingResponse(lines_of_orders(), media_type="application/x-ndjson")

    @app.get("/orders.arrow")
    async def orders_as_arrow() -> StreamingResponse:
        """Return the orders as an Arrow IPC stream, for polars, pandas and DuckDB."""
        return StreamingResponse(arrow_of_orders(), media_type="application/vnd.apache.arrow.stream")

    return app


async def found(id: PydanticObjectId) -> Customer:
    """Return a customer, or raise the error that becomes a response."""
    customer = await Customer.get(id)
    if customer is None:
        raise HTTPException(404, f"there is no customer {id}")
    return customer


async def lines_of_orders() -> AsyncIterator[str]:
    lines: list[str] = []
    size = 0
    async for order in Order.find().sort("_id"):
        lines.append(order.model_dump_json(by_alias=True) + "\n")
        size += len(lines[-1])
        if size >= CHUNK:
            yield "".join(lines)
            lines, size = [], 0
    yield "".join(lines)


async def arrow_of_orders() -> AsyncIterator[bytes]:
    async with Order.find().sort("_id").stream() as stream:
        sink = io.BytesIO()
        writer = pa.ipc.new_stream(sink, pa.schema(await stream.schema()))
        async for batch in stream:
            writer.write_batch(pa.record_batch(batch))
            yield _taken(sink)
        writer.close()
        yield _taken(sink)


def _taken(sink: io.BytesIO) -> bytes:
    """Return what was written since the last call."""
    written = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return written


app = create_app(os.environ.get("MONGODB_URI", "mongodb://localhost:27017"), os.environ.get("DATABASE", "web_api"))
