"""Jobs as they are kept: rows, places, and what people may do about them."""
