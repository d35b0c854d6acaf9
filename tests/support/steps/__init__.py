"""The steps of the features, in the words of the design."""
