"""What shows how a training goes: its progress, its noise, what ails it, and surfaces to try methods on."""
