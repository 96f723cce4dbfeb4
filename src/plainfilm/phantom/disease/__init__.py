"""Disease: which diseases a patient has, where, how large, and how they developed."""
