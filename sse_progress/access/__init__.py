"""Who may do what, and how much of it at once: tokens, key sets, leases, rates."""
