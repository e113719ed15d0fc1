"""Deletions with the rules of the documents that link to the deleted ones."""

from __future__ import annotations

from typing import Any

from ..errors import StillLinked
from ..models.delete_rules import OnDelete, Referrer, referrers_of
from ..models.id_chunks import id_chunks
from ..models.registration import collection_of
from .outcome import Session


class Deletion:
    """The documents that are deleted together, and the links to them that are removed.

    All is read before anything is written, so that a rule that denies the deletion leaves all documents as they are.
    """

    def __init__(self, session: Session, timeout: Any) -> None:
        self._session = session
        self._timeout = timeout
        self._deleted: dict[Any, dict[Any, Any]] = {}
        self._order: list[tuple[Any, list[Any]]] = []
        self._links: list[tuple[Referrer, list[Any]]] = []

    async def add(self, model: Any, ids: list[Any]) -> None:
        """Add documents, and by the rules those that link to them."""
        known = self._deleted.setdefault(collection_of(model).full_name, {})
        new = [each for each in ids if repr(each) not in known]
        known.update({repr(each): each for each in new})
        if not new:
            return
        self._order.append((model, new))
        for referrer in referrers_of(model):
            if referrer.rule is OnDelete.CASCADE:
                await self.add(referrer.model, await self._linking(referrer, new))
            else:
                self._links.append((referrer, new))

    async def _linking(self, referrer: Referrer, ids: list[Any]) -> list[Any]:
        found: list[Any] = []
        collection = collection_of(referrer.model, self._timeout)
        for chunk in id_chunks(ids):
            query = collection.find(referrer.condition(chunk), {"_id": 1}, session=self._session)
            found += [each["_id"] for each in await query.to_dicts()]
        return found

    async def check(self) -> None:
        """Refuse the deletion where a rule denies it.

        Raises
        ------
        StillLinked
            For a document that stays and links to a deleted one.
        """
        for referrer, ids in self._links:
            if referrer.rule is OnDelete.DENY:
                gone = self._deleted.get(collection_of(referrer.model).full_name, {})
                staying = [each for each in await self._linking(referrer, ids) if repr(each) not in gone]
                if staying:
                    raise StillLinked(
                        f"nothing is deleted: {len(staying)} documents of {referrer.model.__name__} still link by "
                        f"{referrer.key!r}, such as the one with _id {staying[0]!r}"
                    )

    async def remove_links(self) -> None:
        """Remove the links to the documents, and delete those that were added by rules."""
        for referrer, ids in self._links:
            if referrer.rule is not OnDelete.DENY:
                collection = collection_of(referrer.model, self._timeout)
                for chunk in id_chunks(ids):
                    await collection.update_many(
                        referrer.condition(chunk), referrer.removal(chunk), session=self._session
                    )
        # The documents of the call itself are the first ones, and deleted by it.
        for model, ids in reversed(self._order[1:]):
            for chunk in id_chunks(ids):
                await collection_of(model, self._timeout).delete_many({"_id": {"$in": chunk}}, session=self._session)


async def apply_rules(model: Any, ids: list[Any], session: Session, timeout: Any) -> None:
    """Apply the rules of links to documents that are about to be deleted.

    Raises
    ------
    StillLinked
        For a deletion that a rule denies; nothing is changed then.
    """
    deletion = Deletion(session, timeout)
    await deletion.add(model, ids)
    await deletion.check()
    await deletion.remove_links()
