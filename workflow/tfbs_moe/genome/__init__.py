"""Genome assemblies and their sequence: names, sizes, FASTA files and the prepared genome."""
