"""The pure parts of planning: bounds, replies of servers, names of what is refused."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import bson
import pytest
from bson import Int64, ObjectId
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st

from data_bridge import InvalidQuery
from data_bridge.query import explained
from data_bridge.query.collection_facts import SIMPLE, CollectionFacts, Deployment, Size, is_same_collation
from data_bridge.query.key_ranges import NULL, Key, Range, quantiles, ranges
from data_bridge.query.partition_request import PartitionRequest, partitions_for, sample_size
from data_bridge.query.row_stages import check_stages, check_view


def key(value: Any) -> Key:
    return Key.of_document(bson.encode({"_id": value}))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(1, 80))
def test_quantiles_split_evenly(weights: list[int], parts: int) -> None:
    keys = [(key(Int64(number)), weight) for number, weight in enumerate(weights)]
    bounds = quantiles(keys, parts)
    assert len(bounds) <= parts - 1
    places = [next(n for n, (each, _) in enumerate(keys) if each == bound) for bound in bounds]
    assert places == sorted(set(places))
    assert 0 not in places
    edges = [0, *places, len(keys)]
    sums = [sum(weights[start:end]) for start, end in pairwise(edges)]
    # No part is larger than its share by more than the heaviest key, on either side.
    assert max(sums) <= sum(weights) / parts + 2 * max(weights)


@given(st.lists(st.integers(), max_size=20, unique=True))
def test_ranges_cover_all_keys(values: list[int]) -> None:
    bounds = [key(Int64(value % 2**62)) for value in values]
    found = ranges(bounds)
    assert len(found) == len(bounds) + 1
    assert found[0].lower is None
    assert found[-1].upper is None
    assert [each.upper for each in found[:-1]] == [each.lower for each in found[1:]] == bounds


@pytest.mark.parametrize("value", [1, "text", None, {"a": 1}, [1, {"b": 2}], ObjectId(), b"bytes", 1.5, {}])
def test_keys_keep_their_bytes(value: Any) -> None:
    document = bson.encode({"_id": value})
    assert bytes(key(value).under("_id").raw) == document
    assert bson.decode(key(value).under("$literal").raw) == {"$literal": value}
    assert key(value).can_be_bound
    assert Key.of_document(bson.encode({})) == NULL == key(None)


def test_keys_that_no_driver_sends() -> None:
    twice = b"\x10a\0\x01\0\0\0\x10a\0\x02\0\0\0\0"
    assert not Key(3, (len(twice) + 4).to_bytes(4, "little") + twice).can_be_bound
    assert Key(6, b"").can_be_bound
    assert key("x").may_hold_text
    assert key({"a": 1}).may_hold_text
    assert not key(5).may_hold_text


def test_plans_of_a_sharded_cluster() -> None:
    shard = {
        "winningPlan": {"stage": "FETCH", "inputStage": {"stage": "IXSCAN", "indexName": "a_1", "isMultiKey": True}}
    }
    scan = {"winningPlan": {"stage": "SHARDING_FILTER", "inputStage": {"stage": "COLLSCAN"}}, "rejectedPlans": [shard]}
    merged = {"queryPlanner": {"winningPlan": {"stage": "SHARD_MERGE", "shards": [scan, shard]}}}
    assert explained.index_in_use(merged) == "a_1"
    assert explained.scans_collection(merged)
    assert explained.fault_of_index(merged) == "multikey"
    whole = {"queryPlanner": {"winningPlan": {"stage": "SHARD_MERGE", "shards": [scan]}}}
    assert explained.index_in_use(whole) is None
    express = {"queryPlanner": {"winningPlan": {"stage": "EXPRESS_IXSCAN", "indexName": "_id_"}}}
    assert explained.index_in_use(express) == "_id_"


def test_replies_about_the_deployment() -> None:
    assert Deployment.of({"msg": "isdbgrid"}) == Deployment(is_sharded=True, is_standalone=False)
    assert Deployment.of({"setName": "rs"}) == Deployment(is_sharded=False, is_standalone=False)
    assert Deployment.of({}) == Deployment(is_sharded=False, is_standalone=True)
    assert not CollectionFacts.of({"cursor": {"firstBatch": []}}).exists


def test_collations_as_servers_complete_them() -> None:
    stored = {
        "locale": "en",
        "caseLevel": False,
        "caseFirst": "off",
        "strength": 2,
        "numericOrdering": False,
        "alternate": "non-ignorable",
        "maxVariable": "punct",
        "normalization": False,
        "backwards": False,
        "version": "57.1",
    }
    assert is_same_collation({"locale": "en", "strength": 2}, stored)
    assert not is_same_collation({"locale": "en"}, stored)
    assert is_same_collation({"locale": "simple"}, SIMPLE)
    assert not is_same_collation({"locale": "simple"}, stored)


def test_numbers_of_partitions() -> None:
    def number(size: Size, **options: Any) -> int:
        return partitions_for(PartitionRequest(**options), size)

    assert number(Size(10**6, 1 << 30)) == 16
    assert number(Size(10, 1 << 30)) == 10
    assert number(Size(10**9, 1 << 50)) == 10_000
    assert number(Size(None, None)) == 1
    assert number(Size(5, 100), n=64) == 5
    assert number(Size(None, None), n=64) == 64
    assert [sample_size(parts) for parts in (1, 10, 100, 10_000, 50_000)] == [200, 2000, 20_000, 100_000, 200_000]


def test_stages_of_raw_documents() -> None:
    stages = [RawBSONDocument(bson.encode({"$match": {"a": 1}})), RawBSONDocument(bson.encode({"$group": {"_id": 1}}))]
    with pytest.raises(InvalidQuery, match=r"\$group"):
        check_stages(stages, "the pipeline")
    check_view([{"$project": {"_id": 1, "a": 1}}, {"$lookup": {"as": "b"}}, {"$unwind": {"path": "$a"}}])
    for stage in ({"$lookup": {"as": "_id"}}, {"$unwind": "$_id.x"}, {"$project": {"_id.x": 1}}):
        with pytest.raises(InvalidQuery, match="replaces _id"):
            check_view([stage])


def test_one_range_is_everything() -> None:
    assert ranges([]) == [Range(None, None)]
