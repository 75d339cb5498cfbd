"""An imitation of a PIM: a catalogue, and webhooks that tell about it.

Belongs here: what a producer of product data does. Does not belong here: what
this project does with it.
"""
