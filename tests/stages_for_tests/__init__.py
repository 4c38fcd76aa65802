"""Stage functions that tests run in real children: ordinary, rough, asynchronous and plug-in ones.

Files named by the upload's text fields are how a test and a running stage meet.
"""
