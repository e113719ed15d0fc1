"""Models in a database of each test."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.database import Database

# Models of several files.
sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    import data_bridge


@pytest.fixture
def ours(client: data_bridge.MongoClient, database: Database[dict[str, Any]]) -> data_bridge.Database:
    """The test's database, through a client of this package."""
    return client[database.name]


@pytest.fixture
def users(ours: data_bridge.Database, database: Database[dict[str, Any]]) -> Any:
    """PyMongo's collection with the documents of the User model."""
    from shop import User

    from data_bridge import odm

    odm.init(ours, [User])
    return database["users"]
