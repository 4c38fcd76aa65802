"""Events, stages, positions, errors and the shapes on the wire.

No I/O and no clock; imports nothing else of this package.
"""
