"""What other libraries bring along: PyMongo's handles, queries of Beanie and MongoEngine, classes for models.

None of them is imported before an object of theirs is handed in, and none is needed to import the package.
"""
