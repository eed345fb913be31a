"""The graph's state: stores that keep documents with versions, and the unit of work that every request is (`graph.py`).

Stores and their interface know no jaclang; jaclang's classes appear in `adapter/` only, and nothing of it is imported before the
first request. No HTTP, no users, no settings beyond which store to open live here.
"""
