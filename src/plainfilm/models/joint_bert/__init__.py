"""Image and text as one sequence through BERT: the code that RadScribe and MedViLL share."""
