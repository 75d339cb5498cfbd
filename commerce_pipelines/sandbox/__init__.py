"""Imitations of the outside systems over real HTTP, with scripted faults.

Belongs here: what those systems do, and failing on request. Does not belong
here: anything of the connectors, the store or the services; an imitation that
shared their code would share their mistakes.
"""
