"""The HTTP interface: the only FastAPI code of the project besides the sandbox.

Belongs here: routes, bodies, signatures, answers. Does not belong here: what a
request leads to (`services`) and how runs work (`flows`), which it only starts.
"""
