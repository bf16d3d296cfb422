"""Who may do what: filters, rights, and the one place that judges calls and registrations (20)."""
