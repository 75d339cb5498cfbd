"""An imitation of a third party's brand system over HTTP.

Belongs here: what such a system does, also where that is inconvenient: pages
that shift while they are read, names that need not be unique or say anything.
Does not belong here: anything about how this project uses it.
"""
