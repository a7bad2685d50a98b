"""`linegate evaluate`: how good a gate is, on labelled pictures."""
