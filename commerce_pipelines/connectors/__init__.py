"""Other people's systems.

Belongs here: how each is reached, what its answers mean in our terms. Does not
belong here: what we want from them (`services`), and what we store ourselves.
"""
