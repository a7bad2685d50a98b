"""OPC UA: a server of our own for the line's controller, and a client that writes to the controller's own server."""
