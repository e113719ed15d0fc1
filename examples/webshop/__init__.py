"""A webshop on the models of `data_bridge.odm`: `python -m examples.webshop mongodb://localhost:27017`.

`awaited` is the program on `AsyncDocument`, the source; `scripts/unasync.py` generates `blocking`, the same program on
`Document`, from it. Read `models.py` first, then `load.py`, `queries.py`, `operators.py`, `tables.py`, `writes.py`,
`exchange.py` and `maintenance.py`; `scenario.py` calls them all. Both share `values.py` and `data.py`.
"""
