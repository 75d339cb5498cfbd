"""The trade itself: no I/O, no framework."""
