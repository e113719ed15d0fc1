"""Views: stored pipelines that are read like collections."""

from __future__ import annotations

from typing import ClassVar

from .read_model import AsyncReadModel


class AsyncView(AsyncReadModel):
    # async only:
    """A model of the documents that a pipeline gives, stored as a view: it is read like a collection, never written.

    `Settings.source` is the model, or the name of the collection, whose documents the pipeline gets;
    `Settings.pipeline` has its stages. `init` creates the view.

    Examples
    --------
    >>> class Metrics(AsyncView):
    ...     kind: str = Field(alias="_id")
    ...     number: int
    ...     class Settings:
    ...         source = Bike
    ...         pipeline = [{"$group": {"_id": "$kind", "number": {"$sum": 1}}}]
    >>> await Metrics.find(Metrics.number > 1).to_list()                      # doctest: +SKIP
    """

    # end
    # sync only:
    # """A model of the documents that a pipeline gives, stored as a view: it is read like a collection, never written.
    #
    # `Settings.source` is the model, or the name of the collection, whose documents the pipeline gets;
    # `Settings.pipeline` has its stages. `init` creates the view.
    #
    # Examples
    # --------
    # >>> class Metrics(View):
    # ...     kind: str = Field(alias="_id")
    # ...     number: int
    # ...     class Settings:
    # ...         source = Bike
    # ...         pipeline = [{"$group": {"_id": "$kind", "number": {"$sum": 1}}}]
    # >>> Metrics.find(Metrics.number > 1).to_list()                      # doctest: +SKIP
    # """
    # end
    _is_view: ClassVar[bool] = True
