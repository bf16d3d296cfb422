"""What the published console asks for: `/api/engine/_console/*` and the functions `engine::console::*` (23 §7)."""
