"""Jobs being done: taken in order, attempted, settled."""
