"""Reference pages out of the source: `python -m docs.generator`, or `make docs`."""
