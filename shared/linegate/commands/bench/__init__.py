"""`linegate bench`: where the time of a board goes, and how many boards a second there may be."""
