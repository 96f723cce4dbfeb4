"""Image and text in one stream through BERT: what RadScribe and MedViLL share."""
