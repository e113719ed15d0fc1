"""Read a file that mongodump wrote; no server takes part. Usage: python examples/dump_file.py orders.bson"""

import sys

from data_bridge import read_bson

query = read_bson(sys.argv[1])
result = query.read()
print(f"{len(result)} documents")
print(result.to_polars().schema)

# Once more, live and in bounded memory: the file may be larger than that.
statuses = {document["status"] for document in read_bson(sys.argv[1])}
print(sorted(statuses))
