"""Any vision-language model that transformers supports, from a local folder."""
