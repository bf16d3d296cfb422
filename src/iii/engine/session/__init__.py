"""One worker connection: what it says, what it asks for, what it runs, what it registers."""
