"""What families that are asked in words share: requests, answers, adapters, processors."""
