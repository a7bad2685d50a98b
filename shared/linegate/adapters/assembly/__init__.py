"""Assembly: zones of the golden picture must hold what they hold there, present, the right way round and in its place."""
