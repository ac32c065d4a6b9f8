"""
What the API says of itself (OpenAPI), apart from the views that do it: one table per subject.

`operations` puts the tables together, `schema` turns an entry into OpenAPI, `shapes` holds what
answers look like.
"""
