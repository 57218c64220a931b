"""HTTP to values and back; the only rooms, with the middleware, that see a web.Request."""
