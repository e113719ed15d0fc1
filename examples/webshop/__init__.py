"""A webshop on the models of `data_bridge.odm`: `python -m examples.webshop mongodb://localhost:27017`.

`blocking` and `awaited` are the same program on `Document` and `AsyncDocument`. Read `models.py` there, then `load.py`,
`trading.py`, `asking.py`, `tables.py` and `care.py`. `values.py` and `data.py` are what both share.
"""
