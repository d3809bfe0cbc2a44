"""Values: plain Python ones from whatever a program logs; pure functions without state."""
