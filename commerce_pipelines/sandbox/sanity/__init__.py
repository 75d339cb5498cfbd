"""An imitation of Sanity's Content Lake over HTTP.

Belongs here: what Sanity is documented and observed to do, also where that is
inconvenient. Does not belong here: anything about how this project uses it.
"""
