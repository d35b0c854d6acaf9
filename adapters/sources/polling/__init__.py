"""Sources without a log: looked at again and again, told apart by cursors, manifests and key diff.

An adapter says how its system is read (``extractor``); what all of them share, from positions to deletes, is here.
"""
