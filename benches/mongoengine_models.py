"""MongoEngine's models, and the tasks on them."""

from __future__ import annotations

import sys
from typing import Any

import mongoengine as me

from odm_mapper import Mapper, assign, make
from registry import Target


class Flat(me.Document):
    a = me.IntField()
    b = me.IntField()
    x = me.FloatField()
    name = me.StringField()
    ok = me.BooleanField()
    at = me.DateTimeField()

    meta = {"collection": "flat"}


class Size(me.EmbeddedDocument):
    w = me.FloatField()
    h = me.FloatField()
    unit = me.StringField()


class Line(me.EmbeddedDocument):
    sku = me.StringField()
    quantity = me.IntField()
    price = me.FloatField()
    size = me.EmbeddedDocumentField(Size)
    tags = me.ListField(me.StringField())
    position = me.IntField()


class Address(me.EmbeddedDocument):
    city = me.StringField()
    zip = me.StringField()
    geo = me.ListField(me.FloatField())


class Customer(me.EmbeddedDocument):
    name = me.StringField()
    address = me.EmbeddedDocumentField(Address)


class Nested(me.Document):
    number = me.IntField()
    customer = me.EmbeddedDocumentField(Customer)
    lines = me.EmbeddedDocumentListField(Line)
    placed = me.DateTimeField()
    total = me.FloatField()
    notes = me.ListField(me.StringField())

    meta = {"collection": "nested"}


class Small(me.Document):
    number = me.IntField()
    name = me.StringField()
    mail = me.StringField()
    active = me.BooleanField()
    score = me.FloatField()
    joined = me.DateTimeField()

    meta = {"collection": "small"}


class Home(me.EmbeddedDocument):
    city = me.StringField()
    street = me.StringField()


class Profile(me.EmbeddedDocument):
    name = me.StringField()
    visits = me.IntField()
    address = me.EmbeddedDocumentField(Home)


class Author(me.EmbeddedDocument):
    name = me.StringField()
    mail = me.StringField()


class Section(me.EmbeddedDocument):
    heading = me.StringField()
    body = me.StringField()
    author = me.EmbeddedDocumentField(Author)
    ratings = me.ListField(me.FloatField())
    labels = me.ListField(me.StringField())


class Large(me.Document):
    number = me.IntField()
    title = me.StringField()
    profile = me.EmbeddedDocumentField(Profile)
    sections = me.EmbeddedDocumentListField(Section)
    published = me.DateTimeField()

    meta = {"collection": "large"}


MODELS: dict[str, Any] = {"flat": Flat, "nested": Nested, "small": Small, "large": Large}


class MongoEngineMapper(Mapper):
    def __init__(self, target: Target, database: str) -> None:
        me.connect(database, host=target.uri).admin.command("ping")
        self._shape, self._model = target.shape, MODELS[target.shape]

    def first(self, limit: int) -> Any:
        return list(self._model.objects.limit(limit))

    def many(self) -> Any:
        return list(self._model.objects(number__gte=0))

    def one(self, id: Any) -> Any:
        return self._model.objects(id=id).first()

    def create(self, values: dict[str, Any]) -> Any:
        return make(sys.modules[__name__], self._shape, values).save()

    def update(self, instance: Any, value: int) -> Any:
        assign(instance, self._shape, value)
        return instance.save()
