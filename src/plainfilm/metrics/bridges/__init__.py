"""The program that runs in the environments of other packages' metrics."""
