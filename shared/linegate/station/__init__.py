"""The station: what people at the line look at, and answer. `app.asgi` makes one application of it for every place it runs."""
