"""An imitation of an ERP behind our reference contract, over HTTP.

Belongs here: what such a system does, also where that is inconvenient: pages that
shift while they are read, changes that are committed late, prices that are null.
Does not belong here: anything about how this project uses it.
"""
