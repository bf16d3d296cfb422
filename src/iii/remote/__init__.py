"""Another engine, as a part of this one sees it that is its client."""
