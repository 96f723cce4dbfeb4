"""What is wrong with the patient: which diseases, where, how large, and how they came about."""
