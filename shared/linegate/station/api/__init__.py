"""`/api/v1`: what the pages tell, for machines, and what machines send. `operations` is the one table that it is all made of."""
