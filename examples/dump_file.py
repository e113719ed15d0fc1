"""Read a file that mongodump wrote, without a server. Usage: python examples/dump_file.py orders.bson"""

import sys

from data_bridge import read_bson

query = read_bson(sys.argv[1])
result = query.read()
print(f"{len(result)} documents")
print(result.to_polars().schema)

# Iterate in bounded memory, also over files that are larger than the memory.
statuses = {document["status"] for document in read_bson(sys.argv[1])}
print(sorted(statuses))
