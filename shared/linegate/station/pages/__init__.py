"""One module a page, named as its address. Each has its `ROUTES`; `station.app` lists them."""
