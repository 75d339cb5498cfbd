"""Where the README's figures come from: printed, never asserted."""
