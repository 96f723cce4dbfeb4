"""Any vision-language model that transformers knows, from a local folder."""
