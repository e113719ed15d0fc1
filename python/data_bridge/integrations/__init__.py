"""Objects of other libraries: PyMongo's handles, queries of Beanie and MongoEngine, classes for models.

A library is imported only after the caller passes one of its objects; importing the package needs none of them.
"""
