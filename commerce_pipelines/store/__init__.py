"""The store in Postgres: its tables and every statement over them.

Belongs here: SQL. Does not belong here: other systems, and when to do what.
"""
