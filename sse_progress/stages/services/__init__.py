"""Stages that ask a moderation service of somebody else: samples of the file go, a verdict comes.

Each has two halves: a `def` takes the samples in a confined process, since that decodes the file;
an `async def` sends them, since that needs the network.
"""
